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


class Tokens:
    """The tokens in a FIFO, which must exist. Not for several threads at once."""

    def __init__(self, fifo: Path) -> None:
        self._debt = 0
        # Opened for both directions, so that it never blocks and never reaches its end.
        self.fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def take(self) -> None:
        """Take one, for a package that starts."""
        try:
            os.read(self.fd, 1)
        except BlockingIOError:
            self._debt += 1  # a compiler holds it; it is taken when it is returned

    def put_back(self) -> None:
        """Put back the one of a package that ended."""
        if self._debt:
            self._debt -= 1
        else:
            with contextlib.suppress(BlockingIOError):  # a build has filled it
                os.write(self.fd, TOKEN)

    def refill(self, number: int) -> None:
        """Replace all, which builds may have taken away or added to. No package may run."""
        self._debt = 0
        try:
            while os.read(self.fd, 4096):
                pass
        except BlockingIOError:
            pass
        os.write(self.fd, TOKEN * number)

    def close(self) -> None:
        """Close the FIFO."""
        os.close(self.fd)


class Jobserver:
    """The FIFO and its number of tokens."""

    def __init__(self, fifo: Path, cores: int) -> None:
        self.fifo = fifo
        self._cores = cores
        self._running = 0
        self._lock = threading.Lock()
        os.mkfifo(fifo, 0o666)
        fifo.chmod(0o666)
        self._tokens = Tokens(fifo)
        self._tokens.refill(cores)

    def started(self) -> None:
        """A package starts, and has one slot of its own."""
        with self._lock:
            self._running += 1
            self._tokens.take()

    def ended(self) -> None:
        """A package ended, and gives its slot back."""
        with self._lock:
            self._running -= 1
            if self._running == 0:
                self._tokens.refill(self._cores)
            else:
                self._tokens.put_back()

    def close(self) -> None:
        """Close the FIFO and remove it."""
        self._tokens.close()
        self.fifo.unlink(missing_ok=True)
