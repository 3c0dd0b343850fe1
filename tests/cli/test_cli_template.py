"""What the texts of a new project show: each command and option is there, each path, too."""

from __future__ import annotations

import re

import click
import pytest

from cloche.cli.main import cli
from cloche.config.template import template

TEXTS = {name: text.decode() for name, text in template().items() if "README" in name}
SHOWN = re.compile(r"^cloche ([^#\n]+)|`cloche ([^`]+)`", re.MULTILINE)
COMMANDS = [
    (name, " ".join(found)) for name, text in TEXTS.items() for found in SHOWN.findall(text)
]


def test_each_directory_has_a_text() -> None:
    tops = {name.partition("/")[0] for name in template() if "/" in name}
    assert {name.partition("/")[0] for name in TEXTS} == {"README.md", *tops}


@pytest.mark.parametrize(("name", "words"), COMMANDS)
def test_a_command_is_one(name: str, words: str) -> None:
    context, command = click.Context(cli), cli
    given = words.split()
    while isinstance(command, click.Group) and given:
        found = command.get_command(context, given.pop(0))
        assert found is not None, f"{name}: cloche {words}"
        command = found  # type: ignore[assignment]
    options = {each for parameter in command.params for each in parameter.opts}
    assert {each for each in given if each.startswith("-")} <= options


def test_the_paths_of_the_table_are_there() -> None:
    rows = re.findall(r"^\| [^|]+ \| `([^`]+)` \|$", TEXTS["README.md"], re.MULTILINE)
    assert len(rows) == 6
    for path in rows:
        assert any(name == path or name.startswith(path) for name in template()), path
