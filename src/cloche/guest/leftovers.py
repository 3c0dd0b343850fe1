"""Ends processes that a phase leaves running, as Portage's pid-sandbox does after each phase.

If a daemon holds the pipe or terminal of a phase's log, Portage waits for as long as it runs. The
parent of such processes has ended: they are children of the sandbox's first process.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .protocol import Channel

PAUSE = 0.5  # seconds between two looks
LOOKS = 2  # in a row without a running phase, until other processes count as leftovers
LONGEST = 100  # characters of a command line


@contextmanager
def ended(channel: Channel, staying: int | None = None) -> Iterator[None]:
    """End leftovers whenever no phase runs during a block, and at its end; report them.

    ``staying`` is a child of this process that runs all the time.
    """
    done = threading.Event()
    thread = threading.Thread(target=_watch, args=(channel, done, staying), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        end(channel)


def _watch(channel: Channel, done: threading.Event, staying: int | None) -> None:
    idle = 0
    while not done.wait(PAUSE):
        idle = 0 if {*_children(os.getpid())} - {staying} else idle + 1
        if idle >= LOOKS:
            end(channel)


def end(channel: Channel) -> None:
    """End all processes that are not descendants of this one, and report them to the host."""
    found: list[str] = []
    while pids := [pid for pid in _children(1) if pid != os.getpid()]:
        for pid in pids:
            found.append(_command(pid))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            _gone(pid)
    if found:
        channel.event("leftovers", commands=found)


def _gone(pid: int) -> None:
    """Wait until a killed process has ended: only then process 1 has its children."""
    while _stat(Path(f"/proc/{pid}"))[0] not in ("Z", "X", ""):
        time.sleep(0.01)


def _children(parent: int) -> list[int]:
    """The running children of a process; zombies do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        state, above = _stat(path)
        if above == parent and state not in ("Z", "X"):
            found.append(int(path.name))
    return found


def _stat(path: Path) -> tuple[str, int]:
    """State and parent of a process (proc_pid_stat(5)); an empty state if it has ended."""
    try:
        fields = (path / "stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[1])
    except (OSError, IndexError, ValueError):
        return "", 0


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
        return words.decode(errors="replace")[:LONGEST] or f"process {pid}"
    return f"process {pid}"
