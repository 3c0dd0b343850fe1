"""Finds the line of a key in a TOML file, as tomllib only gives values.

A scanner of lines, not a parser: it only sees text that tomllib has accepted, and at worst a line
number in an error message is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

Path = tuple[str | int, ...]

_PART: Final = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
_DOTTED: Final = rf"{_PART}(?:\s*\.\s*{_PART})*"
_HEADER: Final = re.compile(rf"\s*(\[\[?)\s*({_DOTTED})\s*\]")
_ASSIGNMENT: Final = re.compile(rf"\s*({_DOTTED})\s*=\s*(.*)$")
_TOKEN: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''.*?'''"
    r'|"(?:[^"\\]|\\.)*"'
    r"|'[^']*'|#|[\[\]{},]|[^\s,\[\]{}#]+",
    re.DOTALL,
)


def _parts(dotted: str) -> tuple[str, ...]:
    """The names of a dotted key, without quotes."""
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


class _Array:
    """Scans the value of one key over its lines, and records where each array item starts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.depth = 0
        self.index = 0
        self.quote = ""  # the delimiter of a multi-line string that is still open

    def feed(self, text: str, line: int, found: dict[Path, int]) -> bool:
        """Scan one line of the value; say whether the value continues in the next line."""
        if self.quote:
            _, closed, text = text.partition(self.quote)
            if not closed:
                return True
            self.quote = ""
        for token in _TOKEN.findall(text):
            if token[0] == "#":
                break
            if token in ("[", "{"):
                if self.depth == 1:
                    found.setdefault((*self.path, self.index), line)
                self.depth += 1
            elif token in ("]", "}"):
                self.depth -= 1
            elif token[0] == ",":
                self.index += self.depth == 1
            elif self.depth == 1:
                found.setdefault((*self.path, self.index), line)
        for quote in ('"""', "'''"):
            if text.count(quote) % 2:
                self.quote = quote
                return True
        return self.depth > 0


def positions(text: str) -> Mapping[Path, int]:
    """Map each table, key and array item to its line, counted from 1.

    Paths are as one would index: ``("seeds", "debian", "suite")``, ``("packages", 2)``; the tables
    of an array of tables carry their number.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    counts: dict[Path, int] = {}
    value: _Array | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if value is not None:
            value = value if value.feed(line, number, found) else None
        elif header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            for end in range(1, len(table) + 1):
                found.setdefault(table[:end], number)
        elif assignment := _ASSIGNMENT.match(line):
            path = (*table, *_parts(assignment[1]))
            for end in range(len(table) + 1, len(path) + 1):
                found.setdefault(path[:end], number)
            value = _Array(path)
            value = value if value.feed(assignment[2], number, found) else None
    return found
