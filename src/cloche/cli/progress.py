"""Progress of long work: one line that changes on a terminal, a line at intervals elsewhere."""

from __future__ import annotations

import sys
import time

from cloche.cli.options import say
from cloche.display.text import size as written
from cloche.display.text import visible

_EVERY = 0.2, 10.0  # seconds between two updates: on a terminal, elsewhere
_WIDTH = 100


class ChangingLine:
    """A line that is written over."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, text: str, *, over: bool = False) -> None:
        """Show the text if it is time to, or if the work is over."""
        now = time.monotonic()
        if now < self._next and not (over and self._terminal):
            return
        self._next = now + _EVERY[0 if self._terminal else 1]
        if self._terminal:
            line = visible(text)[:_WIDTH]
            sys.stderr.write(f"\r  {line}\x1b[K" + ("\n" if over else ""))
            sys.stderr.flush()
        else:
            say(f"  {text}")

    def end(self) -> None:
        """Clear the line for further output."""
        if self._terminal and self._next:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


class Transferred(ChangingLine):
    """One `fetching.download.Progress` after the other."""

    def progress(self, there: int, size: int | None) -> None:
        """Show how far a transfer is."""
        text = f"{written(there)} of {written(size)}, {there * 100 // size} %" if size else ""
        self(text or written(there), over=there == size)
