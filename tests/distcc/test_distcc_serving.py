"""`cloche distcc serve`: compilers of its own store, for callers who may be anybody."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from tests.cluster.running import wait_for
from tests.support import Store
from tests.values import stored

from cloche.distcc.hosts import BUSY, OK, Hello, line_of
from cloche.distcc.serving import TEMPORARY
from cloche.store import Store as Opened

pytestmark = pytest.mark.real

JOBS = 2


@dataclass(frozen=True)
class Site:
    """A server that listens at a socket, and the seed of its store."""

    listen: Path
    seed: str
    other: str
    said: Path

    def greeted(self, line: bytes) -> tuple[socket.socket, bytes]:
        """A connection that began with a line, and the answer."""
        client = self.begun(line)
        return client, line_of(client, 4096, 60)

    def begun(self, line: bytes = b"") -> socket.socket:
        """A connection that sent a line, by default that of the seed's compilers."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(60)
        client.connect(str(self.listen))
        client.sendall((line or msgspec.json.encode(Hello((self.seed,)))) + b"\n")
        return client

    def answer(self, request: bytes) -> bytes:
        """What comes of a request."""
        client, first = self.greeted(msgspec.json.encode(Hello((self.seed,))))
        assert first == OK
        with client:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return client.makefile("rb").read()

    def run(self, *words: str, source: bytes = b"int one(void) { return 1; }\n") -> bytes:
        """The answer to a request of distcc."""
        argv = b"".join(b"ARGV%08x%s" % (len(word), word.encode()) for word in words)
        head = b"DIST%08xARGC%08x" % (1, len(words))
        return self.answer(head + argv + b"DOTI%08x%s" % (len(source), source))


@pytest.fixture(scope="module")
def site(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with a seeded store, in which there is a repository, too."""
    room = tmp_path_factory.mktemp("serving")
    path = root_seeded.copy(room / "store").path
    with Opened.open(path) as store:
        seed = store.pins("seed/")[0].trees[0]
        other = stored(store, "local", "repository", file="an ebuild").id
    made = Site(room / "socket", seed, other, room / "said")
    words = ("--store", path, "distcc", "serve",
             "--jobs", str(JOBS), "--listen", f"unix:{made.listen}")  # fmt: skip
    with made.said.open("wb") as file:
        process = subprocess.Popen(root_seeded.user.command(*words), stderr=file, cwd="/")
    try:
        wait_for(lambda: "compiling for builds" in made.said.read_text(), 60)
        yield made
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130
    assert not made.listen.exists()


def test_a_source_becomes_an_object(site: Site) -> None:
    done = site.run("gcc", "-O2", "-c", "-o", "some/where.o", "/not/here/one.c")
    assert done.startswith(b"DONE00000001STAT00000000SERR00000000SOUT00000000DOTO")
    assert done[60:64] == b"\x7fELF"
    failed = site.run("gcc", "-c", "one.c", "-o", "one.o", source=b"int one(void) { return x; }")
    assert failed.startswith(b"DONE00000001STAT00000100SERR")
    assert failed.endswith(b"SOUT00000000DOTO00000000")
    assert b"undeclared" in failed
    missing = site.run("never-cc", "-c", "one.c", "-o", "one.o")
    assert missing.startswith(b"DONE00000001STAT00006e00")


def test_who_comes_while_another_one_goes_waits_a_moment(site: Site) -> None:
    """A compile that ends before it is sent holds its place until its sandbox is gone."""
    held = [site.begun() for _ in range(JOBS)]
    assert [line_of(each, 99, 60) for each in held] == [OK] * JOBS
    with site.begun() as late:
        assert line_of(late, 99, 60) == BUSY
    with site.begun() as late:
        held.pop().close()
        assert line_of(late, 99, 60) == OK
    held.pop().close()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (msgspec.json.encode(Hello(("0" * 64,))), b"the store holds no layer"),
        (b'{"layers": ["../../../etc"], "version": 1}', b"not a request"),
        (b"GET / HTTP/1.1", b"not a request"),
    ],
)
def test_another_compiler_or_another_protocol_is_refused(
    site: Site, line: bytes, answer: bytes
) -> None:
    client, first = site.greeted(line)
    with client:
        assert answer in first
        assert client.recv(1) == b""
    assert f"refused: {first.decode().strip()}" in site.said.read_text()


def test_only_layers_with_compilers_are_shown(site: Site) -> None:
    """Others of the store may hold anything, and are of no use to a compile."""
    client, first = site.greeted(msgspec.json.encode(Hello((site.other,))))
    with client:
        assert b"is no toolchain" in first


@pytest.mark.parametrize(
    "request_", [b"", b"DIST00000003", b"DIST00000001ARGC00000002ARGV00000003gcc", b"\xff" * 99,
                 b"DIST00000001ARGCffffffff", b"DIST00000001ARGC-0000001"],
)  # fmt: skip
def test_a_request_that_is_none_is_not_answered(site: Site, request_: bytes) -> None:
    assert site.answer(request_) == b""


def test_files_of_a_compile_have_a_limit_together(site: Site) -> None:
    script = "df --output=target,size -B1 /tmp /run /dev/shm; df --output=target,itotal /tmp"
    out = site.run("/bin/sh", "-c", script, "-o", "x.o", "x.c").partition(b"SOUT")[2].decode()
    sizes = dict(re.findall(r"^(/\S+) +(\d+)$", out, re.MULTILINE)[:3])
    assert sizes == dict.fromkeys(("/tmp", "/run", "/dev/shm"), str(TEMPORARY))
    assert re.search(rf"^/tmp +{TEMPORARY >> 12}$", out, re.MULTILINE)


def test_a_caller_sees_a_sandbox_alone(site: Site) -> None:
    """Whatever program is asked for runs: without a network, and over a root that stays."""
    program = (
        "echo began; touch /usr/x && echo wrote;"
        " grep -v lo: /proc/net/dev | grep :; ls /proc | grep ^[0-9]; echo ended"
    )
    done = site.run("/bin/sh", "-c", program, "-o", "x.o", "x.c")
    out = done.partition(b"SOUT")[2]
    assert b"began" in out
    assert b"ended" in out
    assert b"wrote" not in out
    assert b": " not in out  # no interface
    assert len([word for word in out.split() if word.isdigit()]) <= 5
