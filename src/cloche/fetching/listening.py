"""Sockets that listen for sandboxes: a thread for each connection, and all end with a block."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

_AGAIN = 0.2  # seconds after which accepting is tried again


@dataclass
class Held:
    """Sockets that are shut down when all is to end, so that nobody waits for them."""

    ended: bool = False
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def hold(self, *sockets: socket.socket) -> Iterator[None]:
        """Hold sockets for a block; those that come after the end are shut down at once."""
        with self._lock:
            self._open.update(sockets)
            if self.ended:
                _shut(*sockets)
        try:
            yield
        finally:
            with self._lock:
                self._open.difference_update(sockets)

    def end(self) -> None:
        """Shut all down."""
        with self._lock:
            self.ended = True
            _shut(*self._open)


@contextlib.contextmanager
def served(
    listener: socket.socket,
    serve: Callable[[socket.socket], None],
    held: Held,
    places: threading.Semaphore | None = None,
) -> Iterator[None]:
    """Serve all that connect during a block, each by a call of ``serve`` in a thread of its own.

    With ``places`` not more at once; others wait. At the end what is ``held`` is shut down, all
    connections with it.
    """

    def one(client: socket.socket) -> None:
        try:
            with client, held.hold(client):
                serve(client)
        finally:
            if places is not None:
                places.release()

    def accept() -> None:
        for client in connections(listener):
            if places is not None:
                places.acquire()
            try:
                threading.Thread(target=one, args=(client,), daemon=True).start()
            except RuntimeError:  # no more threads
                client.close()
                if places is not None:
                    places.release()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        held.end()
        _shut(listener)
        thread.join()
        listener.close()


def connections(
    listener: socket.socket, failed: Callable[[OSError], None] | None = None
) -> Iterator[socket.socket]:
    """All that connect, until the listener is shut down or closed.

    When there is no descriptor left, or the like, ``failed`` hears of it and a while passes.
    """
    while True:
        try:
            client, _ = listener.accept()
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EBADF):
                return
            if failed is not None:
                failed(error)
            time.sleep(_AGAIN)
            continue
        yield client


def unix_listener(path: Path, mode: int = 0o666) -> socket.socket:
    """A listening socket at a path of any length, to which every user may connect.

    Or those whom ``mode`` lets write.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)
    path.chmod(mode)  # nobody can connect before it listens
    listener.listen()
    return listener


def relay(one: socket.socket, other: socket.socket, seconds: float) -> None:
    """Copy both ways until the other one closes, or nothing comes for so long. Raises OSError."""
    with selectors.PollSelector() as selector:  # unlike select(2), for any number
        ways = {one: other, other: one}
        for source in ways:
            selector.register(source, selectors.EVENT_READ)
        while ready := selector.select(seconds):
            for key, _ in ready:
                source = one if key.fileobj is one else other
                if data := source.recv(1 << 16):
                    ways[source].sendall(data)
                    continue
                with contextlib.suppress(OSError):
                    ways[source].shutdown(socket.SHUT_WR)
                selector.unregister(source)
                if source is other:
                    return


def _shut(*sockets: socket.socket) -> None:
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
