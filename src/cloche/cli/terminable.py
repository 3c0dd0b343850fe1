"""Ending early, on any signal, with a clean-up."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

TICK = 1.0  # seconds between two looks at signals that woke nobody up
SOON = 0.02  # seconds
IMPATIENT = 5.0  # seconds after an interrupt in which further ones are ignored


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end long work as cleanly as Ctrl-C does.

    A second signal within moments must not interrupt the clean-up. A signal may arrive while a
    destructor runs, whose exceptions Python drops: then a timer raises it again. It may also arrive
    just before a system call blocks, which then goes on: a ticking timer ends that wait, so that
    Python runs the handler.
    """
    last = -IMPATIENT
    lost = False

    def interrupt(_number: int, _frame: object) -> None:
        nonlocal last
        before, last = last, time.monotonic()
        if last - before >= IMPATIENT:
            raise KeyboardInterrupt

    def tick(number: int, frame: object) -> None:
        nonlocal lost
        if lost:
            lost = False
            signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
            interrupt(number, frame)

    def dropped(what: sys.UnraisableHookArgs) -> None:
        nonlocal last, lost
        if what.exc_type is KeyboardInterrupt:
            last, lost = -IMPATIENT, True
            signal.setitimer(signal.ITIMER_REAL, SOON, TICK)
        else:
            hook(what)

    hook, sys.unraisablehook = sys.unraisablehook, dropped
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in signals}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, tick)
    signal.setitimer(signal.ITIMER_REAL, TICK, TICK)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
