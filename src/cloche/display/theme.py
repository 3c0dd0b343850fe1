"""How things look: glyphs in Unicode or ASCII, colours or none, text made safe for a terminal."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TextIO

from cloche.display.state import Status

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8

Segment = tuple[str, str]  # text, and the name of a style ("" for none)
Line = Sequence[Segment]

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")

_STYLES = {
    "waiting": "2",
    "running": "1;33",
    "built": "32",
    "reused": "34",
    "failed": "1;31",
    "skipped": "2",
    "edge": "2",
    "dim": "2",
    "bold": "1",
    "chosen": "7",
    # The table of a plan, in emerge's colours.
    "new": "1;32",
    "update": "1;36",
    "downgrade": "1;34",
    "again": "1;33",
    "flag-on": "1;31",
    "flag-off": "1;34",
    "flag-changed": "1;32",
    "flag-new": "1;33",
}


@dataclass(frozen=True, slots=True, eq=False)
class Theme:
    """``marks`` are glyphs by status, ``lines`` glyphs by directions, ``styles`` SGR by name.

    Equal by identity, so that it can be a key of caches.
    """

    marks: Mapping[Status, str]
    lines: Sequence[str]
    pointer: str
    ellipsis: str
    bar: tuple[str, str]
    dot: str
    styles: Mapping[str, str]
    ascii: bool = False

    def draw(self, line: Line, width: int) -> str:
        """One line of at most ``width`` columns, with its styles."""
        parts: list[str] = []
        room = width
        last = ""
        for text, style in line:
            if room <= 0:
                break
            text, used = measured(text if not self.ascii else to_ascii(text))
            if used > room:
                text = clip(text, room, self.ellipsis)
                used = room
            room -= used
            code = self.styles.get(style, "")
            if code != last:
                parts.append(f"\x1b[{code}m" if not last or not code else f"\x1b[0;{code}m")
                last = code
            parts.append(text)
        end = "\x1b[m" if last else ""
        return f"{''.join(parts).rstrip(' ')}{end}"


def _lines(table: Mapping[int, str]) -> tuple[str, ...]:
    return tuple(table.get(directions, " ") for directions in range(16))


_UNICODE_LINES = _lines(
    {
        UP: "│", DOWN: "│", UP | DOWN: "│", LEFT: "─", RIGHT: "─", LEFT | RIGHT: "─",
        UP | RIGHT: "╰", UP | LEFT: "╯", DOWN | RIGHT: "╭", DOWN | LEFT: "╮",
        UP | DOWN | RIGHT: "├", UP | DOWN | LEFT: "┤", LEFT | RIGHT | UP: "┴",
        LEFT | RIGHT | DOWN: "┬", UP | DOWN | LEFT | RIGHT: "┼",
    }
)  # fmt: skip
_ASCII_LINES = _lines(
    {
        UP: "|", DOWN: "|", UP | DOWN: "|", LEFT: "-", RIGHT: "-", LEFT | RIGHT: "-",
        UP | RIGHT: "`", UP | LEFT: "'", DOWN | RIGHT: ".", DOWN | LEFT: ".",
        UP | DOWN | RIGHT: "+", UP | DOWN | LEFT: "+", LEFT | RIGHT | UP: "+",
        LEFT | RIGHT | DOWN: "+", UP | DOWN | LEFT | RIGHT: "+",
    }
)  # fmt: skip


def make_theme(*, unicode: bool = True, colour: bool = True) -> Theme:
    """One of the four themes."""
    styles = _STYLES if colour else {}
    if not unicode:
        marks = _marks("o", ">", "*", "=", "X", "-")
        return Theme(marks, _ASCII_LINES, ">", "~", ("#", "."), "-", styles, ascii=True)
    marks = _marks("○", "▶", "●", "◌", "✘", "·")
    return Theme(marks, _UNICODE_LINES, "»", "…", ("━", "─"), "·", styles)


def _marks(
    waiting: str, running: str, built: str, reused: str, failed: str, skipped: str
) -> dict[Status, str]:
    return {
        "waiting": waiting,
        "running": running,
        "built": built,
        "reused": reused,
        "failed": failed,
        "skipped": skipped,
    }


def theme_for(encoding: str | None, environment: Mapping[str, str]) -> Theme:
    """The theme that an output's encoding and the user's environment ask for (no-color.org).

    In the C locale Python writes UTF-8 all the same (PEP 540): who says LC_ALL=C wants ASCII.
    """
    unicode = (encoding or "").lower().replace("-", "") in ("utf8", "utf8sig")
    unicode = unicode and environment.get("LC_ALL") not in ("C", "POSIX")
    return make_theme(
        unicode=unicode and environment.get("TERM") != "linux",
        colour=not environment.get("NO_COLOR") and environment.get("TERM") != "vt100",
    )


def theme_of(stream: TextIO) -> Theme:
    """The theme for what is written to a stream; without colours where it is not a terminal."""
    if stream.isatty():
        return theme_for(stream.encoding, os.environ)
    return make_theme(colour=False)


def safe(text: str) -> str:
    """Text without anything that could move a cursor: logs and reasons are not ours."""
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\t", "    ")
    return "".join(c for c in text if c.isprintable())


@lru_cache(maxsize=4096)
def measured(text: str) -> tuple[str, int]:
    """A text made safe, and its columns."""
    text = safe(text)
    return text, columns(text)


def to_ascii(text: str) -> str:
    """Text in which everything else is a question mark."""
    return text if text.isascii() else text.encode("ascii", "replace").decode()


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


@lru_cache(maxsize=1024)
def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def clip(text: str, width: int, ellipsis: str = "…") -> str:
    """Text of at most ``width`` columns, its cut marked."""
    text, used = measured(text)
    if used <= width:
        return text
    if text.isascii():
        return text[: width - 1] + ellipsis if width > 0 else ""
    taken, used = [], 0
    for character in text:
        used += _width(character)
        if used > width - 1:
            break
        taken.append(character)
    return "".join(taken) + ellipsis if width > 0 else ""
