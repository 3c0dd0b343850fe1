"""``root = "minimal"``: a root of its own, whose last step leaves out what nothing in it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.config.errors import ConfigError
from cloche.config.machine import Machine, load_machine

PLAIN = """seed = "debian"
root = "minimal"
profile = "own:default"
packages = ["app-misc/hello", "sys-libs/musl"]
"""


def machine(tmp_path: Path, text: str) -> Machine:
    """The machine of a file."""
    file = tmp_path / "m.toml"
    file.write_text(text)
    return load_machine("m", file, tmp_path, frozenset({"debian"}), frozenset({"own"}))


def test_it_is_a_root_of_its_own_without_portages_configuration(tmp_path: Path) -> None:
    found = machine(tmp_path, PLAIN)
    assert (found.own_root, found.minimal, found.etc_portage) == (True, True, False)
    assert found.targets == ("app-misc/hello", "sys-libs/musl")


def test_its_last_step_comes_after_the_machines_own(tmp_path: Path) -> None:
    text = f'{PLAIN}remove = ["/usr/share/x"]\n[[finish]]\nempty = ["/srv"]\n'
    kinds = [step.kind for step in machine(tmp_path, text).finish]
    assert kinds == ["remove", "empty", "minimal"]


def test_portages_configuration_can_be_asked_for(tmp_path: Path) -> None:
    assert machine(tmp_path, f"{PLAIN}[output]\nportage = true\n").etc_portage


def test_another_word_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="“minmal”") as caught:
        machine(tmp_path, PLAIN.replace("minimal", "minmal"))
    assert "minimal" in str(caught.value)
    (step,) = machine(tmp_path, PLAIN).finish
    assert step.origin.line == 2
