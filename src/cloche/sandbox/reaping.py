"""Reaps the processes of a sandbox, as pid 1 of its pid namespace."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import time
from typing import Any


def reap(main: int, timeout: float | None) -> dict[str, Any]:
    """Reap children until ``main`` ends or its time is up; then end and count the rest."""
    deadline = None if timeout is None else time.monotonic() + timeout
    status: int | None = None
    timed_out = False
    while status is None and not timed_out:
        pid, code, _ = os.wait4(-1, os.WNOHANG)
        if pid == main:
            status = os.waitstatus_to_exitcode(code)
        elif pid == 0 and deadline is None:
            signal.sigwaitinfo([signal.SIGCHLD])
        elif pid == 0 and deadline is not None:
            left = deadline - time.monotonic()
            timed_out = left <= 0
            if not timed_out:
                signal.sigtimedwait([signal.SIGCHLD], left)
    end_all()
    return report(-signal.SIGKILL if status is None else status, timed_out=timed_out)


def end_all() -> None:
    """End all other processes of this pid namespace, and reap them."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait4(-1, 0)


def report(status: int, *, timed_out: bool = False) -> dict[str, Any]:
    """A report of how it ended: ``status`` as a wait status, negative for a signal."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "status": status if status >= 0 else 128 - status,
        "timed_out": timed_out,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "rss": used.ru_maxrss * 1024,
    }
