"""Telling of a transfer: one line that changes on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time

from cloche.cli.workplace import say
from cloche.display.text import size as written

_EVERY = 0.2, 10.0  # seconds between two words: on a terminal, elsewhere


class Transferred:
    """One `fetching.download.Progress` after the other."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._next = 0.0

    def __call__(self, there: int, size: int | None) -> None:
        """Tell, if it is time to, or if the transfer is over."""
        over, now = there == size, time.monotonic()
        if now < self._next and not (over and self._terminal):
            return
        self._next = now + _EVERY[0 if self._terminal else 1]
        text = f"  {written(there)}"
        if size:
            text += f" of {written(size)}, {there * 100 // size} %"
        if self._terminal:
            sys.stderr.write(f"\r{text}\x1b[K" + ("\n" if over else ""))
            sys.stderr.flush()
        else:
            say(text)
