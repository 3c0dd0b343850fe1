"""Ending early: what was begun is cleaned up, whoever asks for the end."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SOON = 0.02  # seconds
IMPATIENT = 5.0  # seconds after an interrupt in which another one changes nothing


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end long work as cleanly as Ctrl-C does.

    What follows within moments is impatience, and must not break into the clearing up. A signal may
    come while a destructor runs, whose exceptions Python drops: then it comes again, from a timer.
    """
    last = -IMPATIENT

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= IMPATIENT:
            raise KeyboardInterrupt

    def dropped(what: sys.UnraisableHookArgs) -> None:
        nonlocal last
        if what.exc_type is KeyboardInterrupt:
            last = -IMPATIENT
            signal.setitimer(signal.ITIMER_REAL, SOON)
        else:
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, dropped
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
