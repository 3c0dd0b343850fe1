"""Ending early: whatever asks for it, what was begun is cleared up."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

IMPATIENT = 5.0  # seconds after an interrupt in which another one changes nothing


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end long work as cleanly as Ctrl-C does.

    What follows within moments is impatience, and must not break into the clearing up.
    """
    last = -IMPATIENT

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= IMPATIENT:
            raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
