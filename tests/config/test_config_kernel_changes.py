"""Where changes of a kernel's configuration are written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError, Origin
from cloche.config.kernel import Kernel
from cloche.config.kernel_changes import changed_files, check_place
from cloche.config.kernel_files import ConfigFile

WHERE = Origin(Path("/p/machines/web.toml"), 7)
BASE = ConfigFile("kernel/web.config", Path("/p/kernel/web.config"), b"# Of ours.\nCONFIG_NET=y\n")
FIRST = ConfigFile(
    "kernel/a.config", Path("/p/kernel/a.config"), b"# Why.\nCONFIG_INET=y\nCONFIG_TTY=y\n"
)
LAST = ConfigFile("kernel/b.config", Path("/p/kernel/b.config"), b"CONFIG_USB=y")


def test_an_option_of_a_fragment_is_changed_there_and_comments_stay() -> None:
    kernel = Kernel(WHERE, config=BASE, fragments=(FIRST, LAST))
    assert changed_files(kernel, ["# CONFIG_INET is not set"]) == {
        FIRST.path: "# Why.\n# CONFIG_INET is not set\nCONFIG_TTY=y\n"
    }


def test_any_other_option_is_added_to_the_file_of_the_configuration() -> None:
    kernel = Kernel(WHERE, config=BASE, fragments=(FIRST,))
    changes = ["CONFIG_PCI=y", "CONFIG_TTY=m", "# CONFIG_NET is not set"]
    assert changed_files(kernel, changes) == {
        BASE.path: "# Of ours.\n# CONFIG_NET is not set\nCONFIG_PCI=y\n",
        FIRST.path: "# Why.\nCONFIG_INET=y\nCONFIG_TTY=m\n",
    }


def test_without_one_the_last_fragment_gets_it() -> None:
    kernel = Kernel(WHERE, target="tinyconfig", fragments=(FIRST, LAST))
    assert changed_files(kernel, ["CONFIG_PCI=y", "CONFIG_ATA=m"]) == {
        LAST.path: "CONFIG_USB=y\nCONFIG_PCI=y\nCONFIG_ATA=m\n"
    }


def test_nothing_changes_without_changes() -> None:
    assert changed_files(Kernel(WHERE, config=BASE), []) == {}


def test_a_place_for_changes_is_asked_for_before_the_menu_opens() -> None:
    with pytest.raises(ConfigError, match="there is no file") as caught:
        check_place(Kernel(WHERE, target="tinyconfig"))
    assert caught.value.where == str(WHERE)
