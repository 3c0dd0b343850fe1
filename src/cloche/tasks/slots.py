"""Slots that several processes share, so that together they use the cores as one build does.

A slot is a lock on a file: it is free again when its process ends, however that ends. The tokens
for compilers are in one FIFO, which its maker keeps open; see `cloche.tasks.jobserver`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.store.locks import open_lock, release, try_hold
from cloche.tasks.jobserver import TOKEN, Jobserver

FIFO = "fifo"
_SLOT = "slot.{}"
_LOOK = 0.05  # seconds between two looks for a free slot


@contextmanager
def shared_slots(directory: Path, slots: int, cores: int) -> Iterator[None]:
    """Make what `SharedSlots` of other processes share in a directory, for a block.

    The caller sees to it that no other process makes them there.
    """
    for number in range(slots):
        (directory / _SLOT.format(number)).touch()
    (directory / FIFO).unlink(missing_ok=True)  # of a process that was killed
    tokens = Jobserver(directory / FIFO, cores)
    try:
        yield
    finally:
        tokens.close()


class SharedSlots:
    """What one process has of shared slots; in the place of a `Jobserver` of its own.

    A package waits for a slot, so of all processes' packages only so many are built at once.
    ``stopped`` ends that waiting.
    """

    def __init__(self, directory: Path, stopped: Callable[[], bool]) -> None:
        self.fifo = directory / FIFO
        self._slots = sorted(directory.glob(_SLOT.format("*")))
        self._stopped = stopped
        self._held: list[int] = []
        self._debt = 0
        self._lock = threading.Lock()
        self._fd = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def started(self) -> None:
        """Wait until a package may start. It has one slot of its own, and takes a token for it."""
        slot = self._free_slot()
        with self._lock:
            self._held.append(slot)
            try:
                os.read(self._fd, 1)
            except BlockingIOError:
                self._debt += 1  # a compiler holds it; it is taken when it is returned

    def ended(self) -> None:
        """A package ended, and gives its slot back."""
        with self._lock:
            release(self._held.pop())
            if self._debt:
                self._debt -= 1
            else:
                with contextlib.suppress(BlockingIOError):  # a build has filled it
                    os.write(self._fd, TOKEN)

    def close(self) -> None:
        """Leave the slots to the others."""
        os.close(self._fd)

    def _free_slot(self) -> int:
        """The descriptor of a slot that is held now; not a real one for a stopped call."""
        while not self._stopped():
            for path in self._slots:
                fd = open_lock(path)
                if try_hold(fd):
                    return fd
                os.close(fd)
            time.sleep(_LOOK)
        return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)  # the task ends at once
