"""The bottom of a terminal as a region that is redrawn in place, with lines going by above it.

Only what VT100 knows is used: up, carriage return, erase. A frame's lines never wrap, as none is as
wide as the window; those that go by may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cloche.display.theme import columns, safe

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"
_MOST = 500  # lines above the region that are kept in mind: no window shows more


@dataclass(frozen=True, slots=True)
class _Behind:
    """A line above the region that may come back into view: it went by, or is to be erased."""

    text: str
    stale: bool


class Region:
    """Makes the characters that turn one frame into the next. Writes nothing itself.

    The cursor always rests behind the region's last line. Rows that a lower window pushes out at
    its top lie in the terminal's history; some (tmux) bring them back when the window grows.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._width = 0
        self._height = 0
        self._behind: list[_Behind] = []  # from the oldest row of ours in the history on
        self._below = 0  # empty rows under the region; known as long as there is something behind

    def update(
        self, lines: Sequence[str], width: int, above: Sequence[str] = (), height: int = 0
    ) -> str:
        """Show ``lines`` in a window of ``width`` columns; ``above`` go by over them, for ever.

        ``height`` is the window's in rows, 0 where nobody knows.
        """
        lines = list(lines)
        same = (self._width, self._height, len(self._lines)) == (width, height, len(lines))
        if same and not above:  # nothing moves
            text = self._changed(lines)
            self._lines = lines
            return text
        resized = self._width not in (0, width) or self._height not in (0, height)
        before = self._rows(width)
        pushed = bool(height) and before > height
        back, extra = self._brought_back(width, height) if resized else ((), 0)
        # Erase first where lines may be wrapped: by a narrower window, or as they are long.
        text = self._erased(width, extra) if resized or above else self._to_top(width)
        if pushed:
            text += self._push_out(width, height, height - _rows([*above, *lines], width))
        text += "".join(f"{line}\r\n" for line in (*back, *above))
        text += "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J"
        if self._behind and not pushed:
            moved = _rows([*back, *above, *lines], width) - before - extra
            lower = max(0, self._height - height)
            self._below = max(0, max(0, self._below - lower) - moved)
        if self._behind:
            self._behind = [*self._behind, *(_Behind(line, stale=False) for line in above)][-_MOST:]
        self._lines, self._width, self._height = lines, width, height
        return text

    def clear(self, width: int) -> str:
        """Erase the region; the cursor is where it began."""
        text = self._erased(width) if self._lines else ""
        self._lines = []
        return text

    def forget(self) -> None:
        """The screen is not as it was left: the next update draws all of it below the cursor."""
        self._lines, self._behind = [], []

    def _push_out(self, width: int, height: int, room: int) -> str:
        """Keep in mind which lines do not fit into a lower window, which the region began before.

        The region begins at the window's top then: it is moved to its bottom, by ``room`` rows, so
        that it is known where it is.
        """
        over = self._rows(width) - height
        for line in self._lines:
            if over <= 0:
                break
            self._behind.append(_Behind(line, stale=True))
            over -= _rows([line], width)
        self._behind += [_Behind("", stale=True)] * room
        self._below = 0
        return "\r\n" * room

    def _brought_back(self, width: int, height: int) -> tuple[Sequence[str], int]:
        """What a window that has grown shows again above the region.

        Gives the lines to write in its place, and how many rows to erase with the region. Where
        more of ours is in the history, empty rows take the place of what is erased, so that
        the region stays where it is.
        """
        room = height - self._rows(width) - max(0, self._below - max(0, self._height - height))
        first, seen = len(self._behind), 0
        while first and seen < room:
            first -= 1
            seen += _rows([self._behind[first].text], width)
        hidden, found = self._behind[:first], self._behind[first:]
        if not any(each.stale for each in found):
            return (), 0
        kept = [each for each in found if not each.stale]
        if any(each.stale for each in hidden):
            empty = min(seen, room) - _rows([each.text for each in kept], width)
            kept = [_Behind("", stale=True)] * max(0, empty) + kept
            self._behind = hidden + kept
        else:
            self._behind = []
        return [each.text for each in kept], min(seen, room)

    def _changed(self, lines: Sequence[str]) -> str:
        """Rewrite the lines that differ, the cursor ends where it was."""
        parts = []
        at = len(lines) - 1
        for number, (old, new) in enumerate(zip(self._lines, lines, strict=True)):
            if old != new:
                parts.append(_moved(at, number) + f"\r{new}\x1b[K")
                at = number
        if not parts:
            return ""
        last = len(lines) - 1
        if at != last:
            # The cursor's column matters to nobody, but it belongs in the last line.
            parts.append(_moved(at, last) + "\r")
        return "".join(parts)

    def _to_top(self, width: int) -> str:
        """Back to the region's first line, which lies higher when the terminal wrapped lines."""
        rows = self._rows(width)
        return "\r" + _moved(rows - 1, 0) if rows else ""

    def _erased(self, width: int, extra: int = 0) -> str:
        """Erase the region, ``extra`` rows above it and all below; the cursor is where it began.

        Line by line first: a screen that is erased from its top is kept in tmux's history, from
        where it would come back when the window grows. Where a terminal has not brought back what
        it pushed out, the region begins at the window's top, and no cursor goes up from there.
        """
        rows = self._rows(width) + extra if self._lines else 0
        lines = "\x1b[B".join(["\x1b[2K"] * rows)
        top = f"\r{_moved(rows - 1, 0)}" if rows else ""
        return f"{top}{lines}{_moved(rows - 1, 0) if rows else ''}\x1b[J"

    def _rows(self, width: int) -> int:
        """How many rows of the window the region takes."""
        return _rows(self._lines, width)


def _rows(lines: Sequence[str], width: int) -> int:
    """How many rows lines take, which the terminal may have wrapped."""
    return sum(max(1, -(-columns(safe(line)) // max(1, width))) for line in lines)


def _moved(start: int, end: int) -> str:
    if start == end:
        return ""
    return f"\x1b[{start - end}A" if end < start else f"\x1b[{end - start}B"
