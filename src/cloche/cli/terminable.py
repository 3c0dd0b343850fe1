"""Ending early, on any signal, with a clean-up."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SOON = 0.02  # seconds
IMPATIENT = 5.0  # seconds after an interrupt in which further ones are ignored


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end long work as cleanly as Ctrl-C does.

    A second signal within moments must not interrupt the clean-up. A signal may arrive while a
    destructor runs, whose exceptions Python drops: then a timer raises it again.
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
