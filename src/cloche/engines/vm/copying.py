"""Copying between descriptors, one thread for each direction: the two ends of a machine's ports."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable

_BLOCK = 65536


class Copy:
    """Copies from one descriptor to another until the end of the first, and counts the bytes.

    Where nobody reads any more, what is left is counted and dropped. ``then`` is called at the end.
    """

    def __init__(self, source: int, target: int, then: Callable[[], None] = lambda: None) -> None:
        self.copied = 0
        self._source = source
        self._target: int | None = target
        self._then = then
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until all is copied."""
        self._thread.join()

    def wait_for(self, count: int, timeout: float) -> bool:
        """Wait until ``count`` bytes have arrived; False after ``timeout`` seconds."""
        with self._moved:
            return self._moved.wait_for(lambda: self.copied >= count, timeout)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal open any more
            while data := os.read(self._source, _BLOCK):
                self._write(data)
                with self._moved:
                    self.copied += len(data)
                    self._moved.notify_all()
        self._then()

    def _write(self, data: bytes) -> None:
        if self._target is None:
            return
        try:
            write_all(self._target, data)
        except OSError:
            self._target = None


def lines(fd: int) -> Callable[[], bytes | None]:
    """Return a function that reads the next line from a descriptor; it gives None at the end."""
    rest = b""

    def read() -> bytes | None:
        nonlocal rest
        while b"\n" not in rest:
            data = os.read(fd, _BLOCK)
            if not data:
                return None
            rest += data
        line, _, rest = rest.partition(b"\n")
        return line

    return read


def write_all(fd: int, data: bytes) -> None:
    """Write everything."""
    while data:
        data = data[os.write(fd, data) :]
