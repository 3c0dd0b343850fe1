"""One jobserver for all sandboxes of a build (GNU make's protocol, "Sharing Job Slots").

Every running package has one implicit job slot. The other cores are tokens in a FIFO: while fewer
packages run than there are cores, their compilers may use the rest. A token is taken for each
package that starts, and put back for each that ends.
"""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

TOKEN = b"+"


class Jobserver:
    """The FIFO and its number of tokens."""

    def __init__(self, fifo: Path, cores: int) -> None:
        self.fifo = fifo
        self._cores = cores
        self._running = 0
        self._debt = 0
        self._lock = threading.Lock()
        os.mkfifo(fifo, 0o666)
        fifo.chmod(0o666)
        # Opened for both directions, so that it never blocks and never reaches its end.
        self._fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        os.write(self._fd, TOKEN * cores)

    def started(self) -> None:
        """A package starts, and has one slot of its own."""
        with self._lock:
            self._running += 1
            try:
                os.read(self._fd, 1)
            except BlockingIOError:
                self._debt += 1  # a compiler holds it; it is taken when it is returned

    def ended(self) -> None:
        """A package ended, and gives its slot back."""
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._refill()
            elif self._debt:
                self._debt -= 1
            else:
                with contextlib.suppress(BlockingIOError):  # a build has filled it; see `_refill`
                    os.write(self._fd, TOKEN)

    def _refill(self) -> None:
        """Replace tokens that builds have taken away or added, now that no package runs."""
        self._debt = 0
        try:
            while os.read(self._fd, 4096):
                pass
        except BlockingIOError:
            pass
        os.write(self._fd, TOKEN * self._cores)

    def close(self) -> None:
        """Close the FIFO and remove it."""
        os.close(self._fd)
        self.fifo.unlink(missing_ok=True)
