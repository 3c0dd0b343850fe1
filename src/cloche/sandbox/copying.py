"""Copying between descriptors, and reading the output of sandboxes, programs and machines.

No sandbox may hold a descriptor of a host's file. It writes into a pipe, and a thread of ours
copies to the file (`written_to`). What is read into memory has a limit (`collect`, `lines`), as
an untrusted writer may never stop.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from cloche.linux import descriptors

_BLOCK = 65536
# Bytes that a writer may be ahead; what a kernel gives to ordinary users by default.
_PIPE = 1 << 20
LONGEST_LINE = 1 << 20  # bytes


class Copy:
    """Copies from one descriptor to another until the end of the first, and counts the bytes.

    When the reader is gone, or after ``limit`` bytes, the rest is counted and dropped, so that no
    writer blocks. With ``until_unread`` the copy ends when the reader is gone, as a pipe does.
    ``then`` is called at the end.
    """

    def __init__(
        self,
        source: int,
        target: int,
        then: Callable[[], None] = lambda: None,
        limit: int | None = None,
        *,
        until_unread: bool = False,
    ) -> None:
        self.copied = 0
        self._until_unread = until_unread
        self._limit = limit
        self._source = source
        self._target: int | None = target
        self._then = then
        self._moved = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until all is copied."""
        self._thread.join()

    @property
    def over(self) -> bool:
        """Whether more came than the limit allows."""
        return self._limit is not None and self.copied > self._limit

    def wait_for(self, count: int, timeout: float) -> bool:
        """Wait until ``count`` bytes have arrived; False after ``timeout`` seconds."""
        with self._moved:
            return self._moved.wait_for(lambda: self.copied >= count, timeout)

    def _run(self) -> None:
        with contextlib.suppress(OSError):  # EIO: no process has the terminal open
            while data := os.read(self._source, _BLOCK):
                self._write(data)
                with self._moved:
                    self.copied += len(data)
                    self._moved.notify_all()
        self._then()

    def _write(self, data: bytes) -> None:
        if self._target is None:
            return
        if self._limit is not None:
            data = data[: max(0, self._limit - self.copied)]
        try:
            write_all(self._target, data)
        except OSError:
            if self._until_unread:
                raise
            self._target = None


class Outlet:
    """A pipe into a file of the host. `writer` is for a sandbox, and is closed here afterwards."""

    def __init__(self, file: IO[bytes], limit: int | None) -> None:
        self._reader, self.writer = descriptors.pipe()
        with contextlib.suppress(OSError):  # the user has too many large pipes
            fcntl.fcntl(self._reader, fcntl.F_SETPIPE_SZ, _PIPE)
        self._copy = Copy(self._reader, file.fileno(), limit=limit)

    @property
    def over(self) -> bool:
        """Whether more came than the limit allows; what is over it is not kept."""
        return self._copy.over

    def given(self) -> None:
        """Close our writing end, now that the sandbox has its own, so that its end is seen."""
        if self.writer >= 0:
            descriptors.close(self.writer)
            self.writer = -1

    def close(self) -> None:
        """Wait until all is in the file. Call it when no process of the sandbox is left."""
        self.given()
        self._copy.join()
        os.close(self._reader)


@contextmanager
def written_to(file: IO[bytes], limit: int | None = None) -> Iterator[Outlet]:
    """Give a pipe that is copied to ``file``, at most ``limit`` bytes."""
    outlet = Outlet(file, limit)
    try:
        yield outlet
    finally:
        outlet.close()


def lines(fd: int, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """Lines from a descriptor as they come, with their ends; overlong lines come in pieces."""
    rest = b""
    while data := os.read(fd, _BLOCK):
        *whole, rest = (rest + data).split(b"\n")
        yield from (line + b"\n" for line in whole)
        if len(rest) > longest:
            yield rest
            rest = b""
    if rest:
        yield rest


def collect(fds: Sequence[int], most: int, seconds: float | None = None) -> tuple[bytes, ...]:
    """Read several descriptors at once, each to its end.

    Raises OverflowError when one gives more than ``most`` bytes, TimeoutError after ``seconds``.
    """
    found = {fd: bytearray() for fd in fds}
    began = time.monotonic()
    with selectors.DefaultSelector() as waiting:
        for fd in fds:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            left = None if seconds is None else max(0.0, began + seconds - time.monotonic())
            ready = waiting.select(left)
            if not ready:
                raise TimeoutError(f"no end after {seconds:g} s")
            for key, _ in ready:
                data = os.read(key.fd, _BLOCK)
                found[key.fd] += data
                if len(found[key.fd]) > most:
                    raise OverflowError(f"more than {most >> 20} MiB")
                if not data:
                    waiting.unregister(key.fd)
    return tuple(bytes(found[fd]) for fd in fds)


def write_all(fd: int, data: bytes) -> None:
    """Write everything."""
    while data:
        data = data[os.write(fd, data) :]
