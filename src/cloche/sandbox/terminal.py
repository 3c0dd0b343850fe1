"""Connects a sandbox's terminal to the caller's."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import struct
import termios
import time
import tty
from typing import Any

_TICK = 0.2  # seconds between looks at the window's size; signals would need the main thread


class Terminal:
    """The host's side of a sandbox's terminal, which copies both ways during `serve`."""

    def __init__(self, master: int, stdin: int | None = None, stdout: int | None = None) -> None:
        self._master = master
        self._in = 0 if stdin is None else stdin
        self._out = 1 if stdout is None else stdout
        self._reading = True
        self._saved = _make_raw(self._in)
        self._size = b""
        self._resize()

    def serve(self, pidfd: int, timeout: float | None) -> bool:
        """Copy until the process of ``pidfd`` ended (True) or ``timeout`` seconds passed."""
        deadline = None if timeout is None else time.monotonic() + timeout
        left = _TICK
        while deadline is None or (left := deadline - time.monotonic()) > 0:
            watched = [pidfd, self._master, *([self._in] if self._reading else [])]
            ready, _, _ = select.select(watched, [], [], min(left, _TICK))
            self._resize()
            if self._master in ready:
                self._copy_out()
            if self._in in ready:
                self._copy_in()
            if pidfd in ready:
                while select.select([self._master], [], [], 0)[0] and self._copy_out():
                    pass
                return True
        return False

    def close(self) -> None:
        """Restore the caller's terminal."""
        if self._saved is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._in, termios.TCSADRAIN, self._saved)
            self._saved = None
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def _copy_out(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: no process inside has the terminal open
            time.sleep(0.005)
            return False
        while data:
            data = data[os.write(self._out, data) :]
        return True

    def _copy_in(self) -> None:
        with contextlib.suppress(OSError):
            data = os.read(self._in, 4096)
            if not data:
                self._reading = False
                data = b"\x04"  # the end of input, as typed
            os.write(self._master, data)

    def _resize(self) -> None:
        try:
            size = fcntl.ioctl(self._out, termios.TIOCGWINSZ, b"\0" * 8)
        except OSError:
            size = struct.pack("HHHH", 24, 80, 0, 0)
        if size != self._size:
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
            self._size = size


def _make_raw(fd: int) -> list[Any] | None:
    """Make a terminal raw; return its old mode, None if ``fd`` is not a terminal."""
    try:
        saved = termios.tcgetattr(fd)
        tty.setraw(fd)
    except termios.error:
        return None
    return list(saved)
