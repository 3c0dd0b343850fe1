"""Sources that are missing, cut off, wrong, slow: from a real server on this host's loopback."""

from __future__ import annotations

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.looking import machine, said, settled
from tests.support import Store

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]


def right(kind: str) -> bytes:
    """The right content of a package's source; no two are the same."""
    return f"The right source of {kind}.\n".encode() * 5000


class Server(http.server.ThreadingHTTPServer):
    """Answers as the first part of the path says; counts what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.asked: list[str] = []
        self.ended = threading.Event()


class Answers(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        kind = self.path.split("/")[1]
        if kind == "gone":
            self.send_error(404)
            return
        whole = right(kind)
        wrong = whole.replace(b"right", b"wrong")
        body = {"short": whole[:-100], "wrong": wrong}.get(kind, whole)
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if kind == "cut":  # announces all, and hangs up in the middle
            body = body[:40000]
        if kind == "stuck":
            self.wfile.write(body[:10])
            self.server.ended.wait(120)
            return
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.ended.set()
    server.shutdown()


def package(project: Path, server: Server, kind: str) -> str:
    """Write an ebuild whose source the server gives in this way, and a machine; give its name."""
    directory = project / "repo/late" / kind
    directory.mkdir(parents=True, exist_ok=True)
    text = next((project / "repo/bad/forbidden").glob("*.ebuild")).read_text()
    text += f'SRC_URI="http://127.0.0.1:{server.server_port}/{kind}/{kind}.txt"\n'
    text += f'src_unpack() {{ :; }}\nsrc_install() {{ dodoc "${{DISTDIR}}"/{kind}.txt; }}\n'
    (directory / f"{kind}-1.ebuild").write_text(text)
    whole = right(kind)
    digests = f"BLAKE2B {hashlib.blake2b(whole).hexdigest()}"
    digests += f" SHA512 {hashlib.sha512(whole).hexdigest()}"
    (directory / "Manifest").write_text(f"DIST {kind}.txt {len(whole)} {digests}\n")
    # Servers on this host's loopback are those of the user's own configuration alone.
    fragment = project / "portage/mirrors"
    fragment.mkdir(parents=True, exist_ok=True)
    here = f"here http://127.0.0.1:{server.server_port} http://127.0.0.1:9\n"
    (fragment / "mirrors").write_text(here)
    return machine(project, f"fetch-{kind}", f"late/{kind}", more='portage = ["mirrors"]\n')


def stored(store: Store) -> set[str]:
    return {path.name for path in (store.path / "distfiles").iterdir()}


def test_a_right_file_is_fetched_once(faulty: Faulty, server: Server) -> None:
    store, project = faulty
    name = package(project, server, "right")
    line = said(store.cloche("build", name, "--offline", cwd=project), 1)
    assert "late/right-1" in line
    assert server.asked == []
    store.cloche("build", name, cwd=project, check=True)
    assert server.asked == ["/right/right.txt"]
    store.cloche("build", name, "--offline", cwd=project, check=True)
    digest = hashlib.blake2b(right("right")).hexdigest()
    assert f"BLAKE2B-{digest}" in stored(store)


WRONG = {
    "gone": ("gone.txt: no server has it", "404"),
    "short": ("short.txt: the size does not match", "Filesize does not match"),
    "wrong": ("wrong.txt: the digest does not match", "BLAKE2B"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_file_is_told_and_not_kept(faulty: Faulty, server: Server, kind: str) -> None:
    store, project = faulty
    before = stored(store)
    done = store.cloche("build", package(project, server, kind), cwd=project)
    line = said(done, 1)
    reason, words = WRONG[kind]
    assert f"late/{kind}-1::faults: fetch failed: {reason}" in done.stderr
    assert words in done.stderr
    assert ("`cloche manifest --force`" in done.stderr) == (kind != "gone")
    assert f"cloche log late/{kind}-1 --step fetch" in line
    assert stored(store) == before


def test_a_file_that_breaks_off_is_a_matter_of_the_network(faulty: Faulty, server: Server) -> None:
    store, project = faulty
    before = stored(store)
    done = store.cloche("build", package(project, server, "cut"), cwd=project)
    said(done, 1)
    assert "late/cut-1::faults: fetch failed: cut.txt: " in done.stderr
    assert stored(store) == before


def test_a_server_that_gives_nothing_more_is_given_up(faulty: Faulty, server: Server) -> None:
    store, project = faulty
    name = package(project, server, "stuck")
    text = (project / "machines" / f"{name}.toml").read_text()
    limit = '\n[limits]\nphase_timeout = "4s"\n'
    (project / "machines" / f"{name}.toml").write_text(text + limit)
    began = time.monotonic()
    done = store.cloche("build", name, cwd=project, timeout=60)
    said(done, 1)
    assert time.monotonic() - began < 30
    assert "late/stuck-1::faults: fetch failed: " in done.stderr
    assert "time limit" in done.stderr
    assert settled(store) == []


def test_nobody_listens(faulty: Faulty, server: Server) -> None:
    store, project = faulty
    name = package(project, server, "closed")
    ebuild = project / "repo/late/closed/closed-1.ebuild"
    ebuild.write_text(ebuild.read_text().replace(f":{server.server_port}/", ":9/"))
    done = store.cloche("build", name, cwd=project)
    said(done, 1)
    assert "fetch failed: closed.txt: network" in done.stderr
    assert "`[build] distfiles`" in done.stderr
    assert "Connection refused" in done.stderr


def test_a_source_without_a_manifest_is_refused(faulty: Faulty, server: Server) -> None:
    store, project = faulty
    name = package(project, server, "unlisted")
    (project / "repo/late/unlisted/Manifest").unlink()
    done = store.cloche("build", name, cwd=project)
    assert done.returncode in (1, 2)
    assert "unlisted.txt" in done.stderr
    assert "Manifest" in done.stderr
    said(done, done.returncode)


def test_a_directory_of_sources_is_taken_from_if_it_is_right(
    faulty: Faulty, server: Server, fresh: Callable[[Store], Store]
) -> None:
    store, project = fresh(faulty[0]), faulty[1]
    name = package(project, server, "mine")
    config = project / "cloche.toml"
    before = config.read_text()
    (project / "sources").mkdir()
    (project / "sources/mine.txt").write_bytes(right("mine").replace(b"right", b"wrong"))
    config.write_text(before + '\n[build]\ndistfiles = "sources"\n')
    try:
        said(store.cloche("build", name, "--offline", cwd=project), 1)
        (project / "sources/mine.txt").write_bytes(right("mine"))
        store.cloche("build", name, "--offline", cwd=project, check=True)
    finally:
        config.write_text(before)
    assert "/mine/mine.txt" not in server.asked
