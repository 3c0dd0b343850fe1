"""Slots that several processes share, so that together they use the cores as one build does.

A slot is a lock on a file, which the kernel releases when the process ends or is killed. The tokens
for compilers are in one FIFO, which its maker keeps open; see `cloche.tasks.jobserver`.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.store.locks import open_lock, release, try_hold
from cloche.tasks.jobserver import Jobserver, Tokens

FIFO = "fifo"
_SLOT = "slot.{}"
_LOOK = 0.05  # seconds between two looks for a free slot


@contextmanager
def shared_slots(directory: Path, slots: int, cores: int) -> Iterator[None]:
    """Make slots in a directory, for a block, for the `SharedSlots` of other processes.

    No other process may make slots there at the same time.
    """
    for number in range(slots):
        (directory / _SLOT.format(number)).touch()
    (directory / FIFO).unlink(missing_ok=True)  # left by a process that was killed
    tokens = Jobserver(directory / FIFO, cores)
    try:
        yield
    finally:
        tokens.close()


class SharedSlots:
    """A process's access to shared slots, in the place of a `Jobserver` of its own.

    Each package waits for a slot, which limits how many are built at once by all processes
    together. ``stopped`` ends that waiting.
    """

    def __init__(self, directory: Path, stopped: Callable[[], bool]) -> None:
        self.fifo = directory / FIFO
        self._slots = sorted(directory.glob(_SLOT.format("*")))
        self._stopped = stopped
        self._held: list[int] = []
        self._lock = threading.Lock()
        self._tokens = Tokens(self.fifo)

    def started(self) -> None:
        """Wait until a package may start. It has one slot of its own, and takes a token for it."""
        slot = self._free_slot()
        with self._lock:
            self._held.append(slot)
            self._tokens.take()

    def ended(self) -> None:
        """A package ended, and gives its slot back."""
        with self._lock:
            release(self._held.pop())
            self._tokens.put_back()

    def close(self) -> None:
        """Leave the slots to the others."""
        self._tokens.close()

    def _free_slot(self) -> int:
        """The descriptor of a slot, which this process now holds; of no slot for a stopped call."""
        while not self._stopped():
            for path in self._slots:
                fd = open_lock(path)
                if try_hold(fd):
                    return fd
                os.close(fd)
            time.sleep(_LOOK)
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # the task ends at once
