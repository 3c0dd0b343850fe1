"""Passing our own streams on to a sandbox without giving it their descriptors.

Root of a sandbox can change owner and mode of any file that it has a descriptor of, even one that
is open for reading only. So it gets pipes, and we copy.
"""

from __future__ import annotations

import os
import stat
import sys
from functools import partial

from cloche.sandbox.copying import Copy


class Streams:
    """Descriptors for a sandbox in place of ours. With ``tty`` a terminal stays as it is: the
    engine joins it to one of the sandbox's own.
    """

    def __init__(self, *, tty: bool) -> None:
        self._ends: list[int] = []
        self._copies: list[Copy] = []
        self.stdin = sys.stdin.fileno()
        if stat.S_ISREG(os.fstat(self.stdin).st_mode):  # anything else may be read by others, too
            self.stdin = self._copied_from(self.stdin)
        out, err = sys.stdout.fileno(), sys.stderr.fileno()
        self.stdout = out if tty else self._copied_to(out)
        if tty and os.isatty(err):
            self.stderr = err
        elif not tty and os.path.sameopenfile(out, err):
            self.stderr = self.stdout  # their order is kept
        else:
            self.stderr = self._copied_to(err)

    def given(self) -> None:
        """Close our ends once the sandbox has its own, so that the end of file is seen."""
        while self._ends:
            os.close(self._ends.pop())

    def join(self) -> None:
        """Wait until everything that the sandbox wrote is copied. It must have ended."""
        for copy in self._copies:
            copy.join()

    def _copied_to(self, target: int) -> int:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._ends.append(writer)
        self._copies.append(_copy(reader, target, closed=reader))
        return writer

    def _copied_from(self, source: int) -> int:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        self._ends.append(reader)
        _copy(source, writer, closed=writer)
        return reader


def _copy(source: int, target: int, closed: int) -> Copy:
    """Copy until the end, or until nobody takes it; ``closed`` is closed then."""
    return Copy(source, target, partial(os.close, closed), until_unread=True)
