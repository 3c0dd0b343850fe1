"""The supervisor's end of a machine's ports: maps descriptors to ports, and copies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import termios
import tty
from collections.abc import Iterator, Sequence
from functools import partial

from cloche.sandbox import (
    copying,
    spawning,
)
from cloche.vm import wiring

_NULL = os.makedev(1, 3)


class CommandPorts:
    """Ports for the descriptors of a command: names, directions, and a socket pair for each.

    Two descriptors of one open file share a port, so that what is written to standard output and
    standard error stays in order.
    """

    def __init__(self, streams: Sequence[int], *, terminal: bool) -> None:
        self.ports: dict[str, str] = {}
        self.streams: list[str | None] = []
        self.passed: tuple[int, ...] = ()  # the terminal's master, for the caller
        self.slave = -1
        self._outside: dict[str, int] = {}
        self._sockets: dict[str, tuple[socket.socket, socket.socket]] = {}
        self._copies: dict[str, copying.Copy] = {}
        if terminal:
            self._open_terminal(streams[1])
        for index, fd in enumerate(streams):
            hidden = terminal and index < 3
            self.streams.append(None if hidden else self._port_for(index, fd))
        self._add(wiring.CONTROL)
        for name in self._outside:
            self._add(name)

    @property
    def control(self) -> socket.socket:
        """Our end of the port over which supervisor and agent communicate."""
        return self._sockets[wiring.CONTROL][0]

    @property
    def size(self) -> tuple[int, int] | None:
        """Rows and columns of the terminal, where there is one."""
        return termios.tcgetwinsize(self.slave) if self.slave >= 0 else None

    @property
    def kept(self) -> list[int]:
        """The descriptors that have to stay open while the machine runs."""
        ours = [pair[0].fileno() for pair in self._sockets.values()]
        return [*ours, *self._outside.values()]

    @property
    def errors(self) -> int | None:
        """Where the command's standard error goes."""
        return self._outside.get(self.streams[2] or wiring.TERMINAL[1])

    @contextlib.contextmanager
    def handed_over(self) -> Iterator[dict[str, int]]:
        """QEMU's ends by port; they are closed at the end of the block."""
        try:
            yield {name: theirs.fileno() for name, (_, theirs) in self._sockets.items()}
        finally:
            for _, theirs in self._sockets.values():
                theirs.close()

    def join(self) -> None:
        """Start copying."""
        for name, fd in self._outside.items():
            ours = self._sockets[name][0]
            if name == wiring.TERMINAL[0] or self.ports.get(name) == wiring.IN:
                ours.send(b"\0")  # the port's beginning, see the agent
                then = partial(ours.shutdown, socket.SHUT_WR)
                copying.Copy(fd, ours.fileno(), then)
            else:
                self._copies[name] = copying.Copy(ours.fileno(), fd)

    def drain(self, counts: dict[str, int], timeout: float) -> bool:
        """Wait until all bytes that the agent sent have arrived; False after the timeout."""
        return all(self._copies[name].wait_for(n, timeout) for name, n in counts.items())

    def _port_for(self, index: int, fd: int) -> str | None:
        """Find a port for a descriptor; None for ``/dev/null``."""
        state = os.fstat(fd)
        if stat.S_ISCHR(state.st_mode) and state.st_rdev == _NULL:
            return None
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        inward = index == 0 or (index > 2 and mode == os.O_RDONLY)
        direction = wiring.IN if inward else wiring.OUT
        for name, other in self._outside.items():
            if self.ports.get(name) == direction and os.path.sameopenfile(fd, other):
                return name
        name = f"stream{index}"
        self.ports[name] = direction
        self._outside[name] = fd
        return name

    def _open_terminal(self, like: int) -> None:
        master, self.slave = spawning.open_terminal(like)
        self.passed = (master,)
        tty.setraw(self.slave)
        for name in wiring.TERMINAL:
            self._outside[name] = self.slave

    def _add(self, name: str) -> None:
        self._sockets[name] = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
