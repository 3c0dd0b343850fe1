"""The bottom of a terminal as a region that is redrawn in place, with lines going by above it.

Only what VT100 knows is used: up, carriage return, erase. A frame's lines never wrap, as none is as
wide as the window; those that go by may.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloche.display.theme import columns, safe

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


class Region:
    """Makes the characters that turn one frame into the next. Writes nothing itself.

    The cursor always rests behind the region's last line.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._width = 0
        self._height = 0
        self._gone = 0  # rows of ours that a lower window has pushed out at its top

    def update(
        self, lines: Sequence[str], width: int, above: Sequence[str] = (), height: int = 0
    ) -> str:
        """Show ``lines`` in a window of ``width`` columns; ``above`` go by over them, for ever.

        ``height`` is the window's in rows, 0 where nobody knows.
        """
        lines = list(lines)
        resized = self._width not in (0, width) or self._height not in (0, height)
        if self._height > height:
            self._gone += max(0, self._rows(width) - height)
        if not above and not resized and len(lines) == len(self._lines):
            text = self._changed(lines)
        else:
            # Erase first where lines may be wrapped: by a narrower window, or as they are long.
            text = self._erased(width) if resized or above else self._to_top(width)
            text += "".join(f"{line}\r\n" for line in above)
            text += "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J"
        if above or height > self._height:  # what is in the history now stays there, or was erased
            self._gone = 0
        self._lines, self._width, self._height = lines, width, height
        return text

    def clear(self, width: int) -> str:
        """Erase the region; the cursor is where it began."""
        text = self._erased(width) if self._lines else ""
        self._lines = []
        return text

    def forget(self) -> None:
        """The screen is not as it was left: the next update draws all of it below the cursor."""
        self._lines = []

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

    def _erased(self, width: int) -> str:
        """Erase the region and all below; the cursor is where it began.

        Line by line first: a screen that is erased from its top is kept in tmux's history, from
        where it would come back when the window grows. Rows that were pushed out may have come back
        above the region; where they have not, it begins at the window's top, and no cursor goes up
        from there.
        """
        rows = self._rows(width) + self._gone if self._lines else 0
        lines = "\x1b[B".join(["\x1b[2K"] * rows)
        top = f"\r{_moved(rows - 1, 0)}" if rows else ""
        return f"{top}{lines}{_moved(rows - 1, 0) if rows else ''}\x1b[J"

    def _rows(self, width: int) -> int:
        """How many rows of the window the region takes."""
        return sum(max(1, -(-columns(safe(line)) // max(1, width))) for line in self._lines)


def _moved(start: int, end: int) -> str:
    if start == end:
        return ""
    return f"\x1b[{start - end}A" if end < start else f"\x1b[{end - start}B"
