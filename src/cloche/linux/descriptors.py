"""Pipes and sockets whose end is waited for: a fork of this process must not hold them open.

Programs that use cloche as a library fork whenever they like, as `multiprocessing` does. A fork has
a copy of every descriptor; while it holds the writing end of a pipe, the reader never sees the
pipe's end. In a fork these descriptors become /dev/null: closed numbers could be in use
again when an inherited object closes them.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading

_lock = threading.Lock()
_kept: set[int] = set()


def pipe() -> tuple[int, int]:
    """A pipe, (reader, writer), whose writer is kept from forks; `close` closes it."""
    with _lock:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        _kept.add(writer)
    return reader, writer


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Two sockets for datagrams. The second is kept from forks; `close` closes it."""
    with _lock:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        _kept.add(theirs.fileno())
    return ours, theirs


def close(end: int | socket.socket) -> None:
    """Close an end that is kept from forks."""
    fd = end.detach() if isinstance(end, socket.socket) else end
    with _lock:
        _kept.discard(fd)
        os.close(fd)


def _forked() -> None:
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for fd in _kept:
            os.dup2(null, fd, inheritable=False)
        os.close(null)
    _kept.clear()


# An interrupt can end a Python function at any point, and what it raises in a handler of forks has
# no effect. So the lock is not released by a Python function: the fork's next pipe would wait for
# ever.
os.register_at_fork(
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
)
os.register_at_fork(after_in_child=_forked)
