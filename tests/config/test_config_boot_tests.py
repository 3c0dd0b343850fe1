"""``[test]`` of a machine: its keys, and errors with the line of what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.boot_tests import TIMEOUT, BootTests, read_boot_tests
from cloche.config.errors import ConfigError
from cloche.config.table import load


def checks(text: str, root: Path) -> BootTests | None:
    file = root / "machine.toml"
    file.write_text(text)
    return read_boot_tests(load(file, root), root)


def test_without_a_table_there_are_none(tmp_path: Path) -> None:
    assert checks('seed = "debian"\n', tmp_path) is None


def test_all_keys_are_read(tmp_path: Path) -> None:
    found = checks(
        """
[test]
units = ["sshd", "getty@tty1.service"]
commands = ["curl -sf http://127.0.0.1/ | grep -q 'it works'"]
timeout = "5m"
ready = "Welcome"
user = "larry"
password_file = "secret"
image = "disk"
""",
        tmp_path,
    )
    assert found is not None
    assert found.units == ("sshd", "getty@tty1.service")
    assert found.commands == ("curl -sf http://127.0.0.1/ | grep -q 'it works'",)
    assert (found.timeout, found.ready, found.user) == (300.0, "Welcome", "larry")
    assert (found.password_file, found.image) == (tmp_path / "secret", "disk")


def test_little_is_needed(tmp_path: Path) -> None:
    found = checks('[test]\nready = "login:"\n', tmp_path)
    assert found is not None
    assert (found.timeout, found.user, found.password_file) == (TIMEOUT, "root", None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[test]\n", ":1: .test. checks nothing"),
        ('[test]\nunit = ["a"]\n', ":2: unknown key “test.unit”; did you mean “units”"),
        ('[test]\nunits = ["sshd", "a b"]\n', ":2: “a b” is not the name of a unit"),
        ('[test]\nunits = ["a;reboot"]\n', "is not the name of a unit"),
        ('[test]\nunits = ["$(reboot)"]\n', "is not the name of a unit"),
        ('[test]\nunits = ["--help"]\n', "is not the name of a unit"),
        ('[test]\ncommands = ["a\\nb"]\n', "a command of a test is one line"),
        ('[test]\ncommands = [" "]\n', "a command of a test is one line"),
        (f'[test]\ncommands = ["{"a" * 701}"]\n', "up to 700 printable characters"),
        ('[test]\nready = "a\\u0007"\n', "“ready” is a part of one line"),
        ('[test]\nready = "a"\nuser = "a b"\n', ":3: “a b” is not the name of a user"),
        ('[test]\nready = "a"\ntimeout = "soon"\n', "a time such as"),
        ('[test]\nready = "a"\npassword_file = "~nobody-here/x"\n', ":3: “~nobody-here/x”"),
    ],
)
def test_errors_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        checks(text, tmp_path)
