"""Connections of sandboxes to hosts that compile: which host gets one, and what ends it."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cloche.distcc.forwarding import Hosts, forwarding
from cloche.distcc.hosts import (
    BUSY,
    LIMIT,
    LONGEST,
    MOST_LAYERS,
    OK,
    PORT,
    Hello,
    Host,
    hello_of,
    host_of,
    line_of,
)
from cloche.fetching.listening import unix_listener

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("unix:/run/x/4", Host("unix:/run/x/4", "/run/x/4", LIMIT)),
        ("build1", Host("build1", ("build1", PORT), LIMIT)),
        ("build1/12", Host("build1/12", ("build1", PORT), 12)),
        ("192.0.2.1:99/2", Host("192.0.2.1:99/2", ("192.0.2.1", 99), 2)),
        ("[2001:db8::1]:99", Host("[2001:db8::1]:99", ("2001:db8::1", 99), LIMIT)),
        *((bad, None) for bad in ("", "unix:x", "unix:/" + "x" * 108, "a b", "a/0", "a:0")),
        *((bad, None) for bad in ("a:70000", "ssh://a", "a/b", "@a", "a,lzo")),
    ],
)  # fmt: skip
def test_hosts_are_written_so(text: str, host: Host | None) -> None:
    assert host_of(text) == host


@pytest.mark.parametrize(
    "line",
    [b"", b"[]", msgspec.json.encode(Hello((ID, ID))),
     msgspec.json.encode(Hello(tuple(f"{n:064}" for n in range(MOST_LAYERS + 1)))),
     b'{"layers": []}', b'{"layers": ["../x"]}', b'{"layers": ["' + b"0" * 63 + b'"]}',
     b'{"layers": ["' + ID.encode() + b'"], "version": 2}', b"\xff", b'{"layers": ["\xff"]}',
     b'{"layers": ["' + ID.encode() + b'"], "more": 1}', b'{"layers": "x"}', b"GET / HTTP/1.1"],
)  # fmt: skip
def test_what_is_no_first_line_is_none(line: bytes) -> None:
    assert hello_of(line) is None
    assert hello_of(b'{"layers":["%s"]}' % ID.encode()) == Hello((ID,))


def test_the_longest_first_line_fits() -> None:
    hello = Hello(tuple(f"{number:064}" for number in range(MOST_LAYERS)))
    line = msgspec.json.encode(hello) + b"\n"
    assert len(line) <= LONGEST
    assert hello_of(line) == hello


def test_a_line_has_one_deadline_however_slowly_it_comes() -> None:
    one, other = socket.socketpair()
    over = threading.Event()

    def drip() -> None:
        while not over.wait(0.05):
            one.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    began = time.monotonic()
    try:
        with one, other, pytest.raises(TimeoutError):
            line_of(other, 9999, 0.5)
    finally:
        over.set()
        thread.join()
    assert time.monotonic() - began < 60


class Played:
    """A host that answers ``first`` and then what it is sent, in capitals."""

    def __init__(self, path: Path, first: bytes = OK, limit: int = 1) -> None:
        self.host = Host(f"unix:{path}", str(path), limit)
        self.first, self.greetings = first, list[Hello | None]()
        self.listener = unix_listener(path)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client, contextlib.suppress(OSError, EOFError):
                    self.greetings.append(hello_of(line_of(client, 9999, 60)))
                    client.sendall(self.first)
                    while self.first == OK and (data := client.recv(9)):
                        client.sendall(data.upper())


@contextlib.contextmanager
def sandboxed(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(str(path))
        yield client


def test_a_sandbox_reaches_a_host_that_has_its_compilers(tmp_path: Path) -> None:
    other = Played(tmp_path / "other", b"this store has no layer 01\n", limit=6)
    gone = Host("unix:/none", str(tmp_path / "none"), 9)
    right = Played(tmp_path / "right", limit=4)
    hosts = Hosts([gone, other.host, right.host])
    path = tmp_path / "inside"
    with forwarding(hosts, (ID,), path):
        for _ in range(2):  # who refused is not asked again for a while
            with sandboxed(path) as client:
                client.sendall(b"hello")
                client.shutdown(socket.SHUT_WR)
                assert client.makefile("rb").read() == b"HELLO"
    assert right.greetings == [Hello((ID,))] * 2
    assert other.greetings == [Hello((ID,))]
    told = dict(hosts.news())
    assert told["unix:/none"] == "No such file or directory"
    assert told[other.host.text] == "this store has no layer 01"
    assert hosts.news() == []
    with pytest.raises(OSError), sandboxed(path):  # noqa: PT011 - it may be refused or missing
        pytest.fail("it still listens")


def test_a_refusal_of_one_toolchain_is_none_of_another(tmp_path: Path) -> None:
    host = Played(tmp_path / "one", b"this store has no layer 01\n", limit=3)
    hosts, lacking, there = Hosts([host.host]), Hello((ID,)), Hello((ID[::-1],))
    for hello, first in ((lacking, host.first), (there, OK), (lacking, OK), (there, OK)):
        host.first = first
        with hosts.connected(hello) as server:
            assert (server is None) == (hello == lacking)
    assert host.greetings == [lacking, there, there]


def test_a_connection_of_many_descriptors_is_relayed(tmp_path: Path) -> None:
    """select(2) takes none from 1024 on."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], 1200), before[1]))
    hosts, path = Hosts([Played(tmp_path / "one").host]), tmp_path / "inside"
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1030)]
    try:
        with forwarding(hosts, (ID,), path), sandboxed(path) as client:
            client.sendall(b"a")
            assert client.recv(1) == b"A"
    finally:
        for fd in held:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_host_that_is_busy_is_asked_again(tmp_path: Path) -> None:
    host = Played(tmp_path / "one", BUSY)
    hosts = Hosts([host.host])
    for _ in range(2):
        with hosts.connected(Hello((ID,))) as server:
            assert server is None
    assert len(host.greetings) == 2
    assert hosts.news() == []


def test_a_host_gets_no_more_than_its_limit(tmp_path: Path) -> None:
    """Who finds no place is closed at once: distcc compiles then itself."""
    hosts = Hosts([Played(tmp_path / "one").host])
    path = tmp_path / "inside"
    with forwarding(hosts, (ID,), path):
        with sandboxed(path) as first:
            first.sendall(b"a")
            assert first.recv(1) == b"A"
            with sandboxed(path) as second:
                assert second.recv(1) == b""
        for _ in range(200):
            with sandboxed(path) as third, contextlib.suppress(OSError):
                third.sendall(b"b")
                if third.recv(1) == b"B":
                    return
        pytest.fail("its place is not given back")


def test_connections_end_with_the_sandbox(tmp_path: Path) -> None:
    hosts = Hosts([Played(tmp_path / "one").host])
    path = tmp_path / "inside"
    with contextlib.ExitStack() as stack:
        with forwarding(hosts, (ID,), path):
            client = stack.enter_context(sandboxed(path))
            client.sendall(b"a")
            assert client.recv(1) == b"A"
        assert client.recv(1) == b""
