"""The text of a machine's file, and of cloche.toml, as people would write them."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cloche.config import toml

_WIDTH = 96


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A machine's file: ``comment`` says what it was, ``keys`` are in the order of the file.

    ``comments`` are those above some of its keys; ``tables`` come after the keys.
    """

    comment: str
    keys: Mapping[str, Any]
    comments: Mapping[str, str] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def machine_text(machine: MachineFile) -> bytes:
    """The text of a machine's file."""
    lines = [*_comment(machine.comment), ""]
    for key, value in machine.keys.items():
        if key in machine.comments:
            lines += _comment(machine.comments[key])
        lines.append(toml.dumps({key: value}).rstrip("\n"))
    for name, table in machine.tables.items():
        if table:
            lines += ["", toml.dumps({name: table}).rstrip("\n")]
    return ("\n".join(lines) + "\n").encode()


def project_text(comment: str, tables: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The text of cloche.toml; tables without entries are left out."""
    lines = [*_comment(comment), ""]
    filled = {name: table for name, table in tables.items() if table}
    return ("\n".join(lines) + "\n" + toml.dumps(filled)).encode()


def _comment(text: str) -> list[str]:
    """Lines of a comment; control characters of names do not end it."""
    found = []
    for line in text.split("\n") if text else ():
        plain = "".join(char if char.isprintable() else "?" for char in line)
        wrapped = textwrap.wrap(plain, _WIDTH, break_long_words=False, break_on_hyphens=False)
        found += [f"# {each}" for each in wrapped] or ["#"]
    return found
