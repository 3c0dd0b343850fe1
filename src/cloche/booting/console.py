"""A guest's console: its log, what was said lately, waiting for words, a person at the keyboard."""

from __future__ import annotations

import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from cloche.booting.running import Guest

#: How a console is left: the key, three times within a second, as in systemd-nspawn(1).
LEAVE = b"\x1d"
LEAVING = "Ctrl-] three times within a second"

_TICK = 0.5  # seconds
_LOG_LIMIT = 64 << 20  # bytes; a guest can write for ever
_RECENT = 1 << 16  # bytes that are searched
#: Control sequences and operating system commands of terminals (ECMA-48), other control characters.
_CONTROL = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[@-_]"
    rb"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


class Console:
    """Reads a guest's console. ``log`` gets all of it; with ``echo``, our standard output too."""

    def __init__(self, guest: Guest, log: IO[bytes], *, echo: bool = False) -> None:
        self._guest, self._log, self._echo = guest, log, echo
        self._logged = 0
        self._raw = b""
        self.ended = False
        self.quiet_since = time.monotonic()

    @property
    def recent(self) -> str:
        """What was said since the last `forget`, as plain text."""
        return plain(self._raw)

    def forget(self) -> None:
        """Begin anew: what was said until now is not searched any more."""
        self._raw = b""

    def type(self, data: bytes) -> None:
        """Type at the keyboard."""
        with suppress(OSError):  # the end of the console is noticed when it is read
            _write_all(self._guest.console, data)

    def listen(self, seconds: float) -> bytes:
        """Take what is said within some time, at the latest when something is."""
        if self.ended or not select.select([self._guest.console], [], [], max(0.0, seconds))[0]:
            return b""
        try:
            data = os.read(self._guest.console, 1 << 16)
        except OSError:  # EIO: a terminal that nobody has open any more
            data = b""
        if not data:
            self.ended = True
            return b""
        self.quiet_since = time.monotonic()
        self._raw = (self._raw + data)[-_RECENT:]
        if self._logged < _LOG_LIMIT:
            self._log.write(data[: _LOG_LIMIT - self._logged])
            self._log.flush()
            self._logged += len(data)
        if self._echo:
            _write_all(1, data)
        return data

    def wait_for(self, text: str, seconds: float) -> bool:
        """Listen until a text was said. False: not within this time, or the guest ended."""
        end = time.monotonic() + seconds
        while text not in self.recent:
            if self.ended or (left := end - time.monotonic()) <= 0:
                return False
            self.listen(min(left, _TICK))
        return True

    def pass_time(self, seconds: float) -> None:
        """Listen for some time, or until the guest ended."""
        end = time.monotonic() + seconds
        while not self.ended and (left := end - time.monotonic()) > 0:
            self.listen(min(left, _TICK))

    def attend(self) -> None:
        """Let the user type until they leave or the guest ends."""
        taps: list[float] = []
        reading = True
        with _raw_terminal():
            while not self.ended:
                watched = [self._guest.console, *([0] if reading else [])]
                ready, _, _ = select.select(watched, [], [], _TICK)
                if self._guest.console in ready:
                    self.listen(0)
                if 0 in ready:
                    data = os.read(0, 4096)
                    reading = bool(data)
                    if _leaves(data, taps):
                        return
                    self.type(data)


def plain(data: bytes) -> str:
    """A terminal's output without its control sequences, each line as it was left."""
    return _CONTROL.sub(b"", data).replace(b"\r", b"").decode(errors="replace")


def last_lines(data: bytes, number: int) -> str:
    """The end of a log, for people."""
    lines = [line.rstrip() for line in plain(data).splitlines()]
    return "\n".join([line for line in lines if line][-number:])


def _leaves(data: bytes, taps: list[float]) -> bool:
    """Whether these keys complete the way out; ``taps`` has the times of earlier ones."""
    now = time.monotonic()
    for key in data:
        if key != LEAVE[0]:
            taps.clear()
            continue
        taps[:] = [*(tap for tap in taps if now - tap < 1.0), now]
    return len(taps) >= 3


@contextmanager
def _raw_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    saved = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, saved)


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
