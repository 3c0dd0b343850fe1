"""Every connection is served, not too many at once, and all end with the block."""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from pathlib import Path

import pytest

from cloche.fetching.listening import Held, connections, served, unix_listener


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(str(path))
    return client


def test_without_descriptors_it_waits_and_goes_on(tmp_path: Path) -> None:
    path, failed = tmp_path / "socket", list[int]()
    listener, before = unix_listener(path), resource.getrlimit(resource.RLIMIT_NOFILE)

    def hear(error: OSError) -> None:
        failed.append(error.errno or 0)
        if len(failed) == 3:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    with connected(path):
        lowest = os.dup(0)  # the number that the next connection would get
        os.close(lowest)
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, before[1]))
        try:
            found = connections(listener, hear)
            next(found).close()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert failed == [errno.EMFILE] * 3
    listener.shutdown(socket.SHUT_RDWR)
    assert list(found) == []
    listener.close()
    assert list(connections(listener)) == []


def test_more_than_there_are_places_for_wait(tmp_path: Path) -> None:
    path, places = tmp_path / "socket", threading.Semaphore(2)

    def serve(client: socket.socket) -> None:
        client.sendall(b"in")
        client.recv(1)

    with served(unix_listener(path), serve, Held(), places):
        clients = [connected(path) for _ in range(3)]
        assert [each.recv(2) for each in clients[:2]] == [b"in"] * 2
        clients[2].settimeout(0.2)
        with pytest.raises(TimeoutError):
            clients[2].recv(2)
        clients[0].close()
        clients[2].settimeout(10)
        assert clients[2].recv(2) == b"in"
    assert [each.recv(1) for each in clients[1:]] == [b"", b""]  # the end of the block is theirs
    for each in clients:
        each.close()
    assert all(places.acquire(timeout=10) for _ in range(2))


def test_what_is_held_after_the_end_ends_at_once() -> None:
    held = Held()
    held.end()
    one, other = socket.socketpair()
    with one, other, held.hold(one):
        assert other.recv(1) == b""


def test_others_cannot_connect_where_the_mode_says_so(tmp_path: Path) -> None:
    with unix_listener(tmp_path / "socket", 0o600):
        assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600
