"""The desk of a freshroot, with a program of its own in place of `cloche freshroot answer`."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from cloche.workflows.freshroot_desk import SOCKET, Desk
from cloche.workflows.freshroot_request import WIDEST, message

REQUEST = {
    "wanted": [{"cpv": "a/b-1", "repo": "r", "slot": "0", "use": []}],
    "tools": [], "installed": [], "etc": {}, "profile": "", "environment": {},
    "columns": 80, "rows": 24, "term": "x",
}  # fmt: skip
#: Notes that it began and that it was interrupted; says the size of its terminal all the time, in
#: the terminal "loud" more than anyone takes.
PROGRAM = """
import os, pathlib, signal, sys, time
place = pathlib.Path(sys.argv[1])
def interrupted(*_):
    (place / f"interrupted-{os.getpid()}").touch()
    os._exit(3)
signal.signal(signal.SIGINT, interrupted)
(place / f"began-{os.getpid()}").touch()
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
while True:
    try:
        print(*os.get_terminal_size(0), flush=True)
    except OSError:
        pass
    time.sleep(0 if os.environ["TERM"] == "loud" else 0.01)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="desk-") as name:
        yield Path(name)


@pytest.fixture
def desk(place: Path) -> Iterator[Desk]:
    """A desk whose programs note what happens to them."""
    for name in ("room", "requests", "notes"):
        (place / name).mkdir()
    command = (sys.executable, "-c", PROGRAM, str(place / "notes"))
    # Blocked in programs, too, until they have begun: each notes that it began.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    yield Desk(place / "room", place / "requests", command, os.environ)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    # None was left to the patience of the desk.
    assert len(noted(place, "began")) == len(noted(place, "interrupted"))


def noted(place: Path, word: str) -> list[Path]:
    return list((place / "notes").glob(f"{word}-*"))


def asked(desk: Desk, term: str = "x") -> socket.socket:
    """A connection that has asked for packages."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(str(desk.room / SOCKET))
    connection.sendall(message(b"r", msgspec.json.encode({**REQUEST, "term": term})))
    return connection


def said(connection: socket.socket, words: bytes) -> None:
    """Wait until these words have come."""
    data = b""
    while words not in data:
        more = connection.recv(65536)
        assert more, data
        data = data[-1000:] + more


def soon(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_one_who_goes_away_while_something_is_said_ends_the_build(desk: Desk, place: Path) -> None:
    with desk.serving():
        connection = asked(desk, "loud")
        said(connection, b"80 24")
        time.sleep(0.3)  # until nothing more goes in
        connection.close()
        soon(lambda: noted(place, "interrupted"))


def test_requests_that_wait_do_not_begin_after_the_end(desk: Desk, place: Path) -> None:
    with ExitStack() as stack:
        with desk.serving():
            first = stack.enter_context(asked(desk))
            said(first, b"80 24")
            for _ in range(3):
                said(stack.enter_context(asked(desk)), b"waiting for another emerge")
        assert len(noted(place, "began")) == 1


def test_the_end_does_not_wait_for_connections_that_say_nothing(desk: Desk) -> None:
    with ExitStack() as stack:
        with desk.serving():
            for _ in range(12):
                connection = stack.enter_context(socket.socket(socket.AF_UNIX))
                connection.connect(str(desk.room / SOCKET))
            time.sleep(0.2)  # so that all are taken that are taken
            began = time.monotonic()
        assert time.monotonic() - began < 60


def test_a_window_has_the_size_that_a_request_may_have(desk: Desk, place: Path) -> None:
    with desk.serving(), asked(desk) as connection:
        said(connection, b"80 24")
        connection.sendall(message(b"w", struct.pack(">HH", WIDEST, 30)))
        said(connection, f"{WIDEST} 30".encode())
        assert not noted(place, "interrupted")
        connection.sendall(message(b"w", struct.pack(">HH", 80, WIDEST + 1)))
        soon(lambda: noted(place, "interrupted"))
