"""What an ebuild's sources may not reach: this host's loopback, its files, its abstract sockets."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, machine
from tests.mirrors import served
from tests.support import Store, project

pytestmark = pytest.mark.real

CONTENT = b"The right source.\n" * 100


class Redirects(http.server.BaseHTTPRequestHandler):
    """Sends everybody on to ``target``."""

    target = ""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""


def package(place: Path, name: str, uri: str, more: str = "") -> str:
    """Write an ebuild with a source at this URI; give its atom."""
    directory = place / "repo/reach" / name
    directory.mkdir(parents=True)
    text = next((place / "repo/bad/forbidden").glob("*.ebuild")).read_text()
    text += f'SRC_URI="{uri} -> {name}.txt"\n{more}'
    text += f'src_unpack() {{ :; }}\nsrc_install() {{ dodoc "${{DISTDIR}}"/{name}.txt; }}\n'
    (directory / f"{name}-1.ebuild").write_text(text)
    # Another content for each, so that none is in the store already.
    whole = CONTENT + name.encode()
    digests = f"BLAKE2B {hashlib.blake2b(whole).hexdigest()}"
    (directory / "Manifest").write_text(f"DIST {name}.txt {len(whole)} {digests}\n")
    return f"reach/{name}"


@pytest.fixture
def redirecting() -> Iterator[http.server.ThreadingHTTPServer]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirects)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_sources_reach_what_the_user_names_and_nothing_else_of_this_host(
    seeded: Store,
    fresh: Callable[[Store], Store],
    redirecting: http.server.ThreadingHTTPServer,
) -> None:
    store = fresh(seeded)
    place = project(store, PROJECT)
    with ExitStack() as stack:
        names = ("secret", "named", "mirrored", "inner", "tunnel")
        inner = stack.enter_context(served({n: CONTENT + n.encode() for n in names}))
        mirror = stack.enter_context(served({n: CONTENT + n.encode() for n in names}))
        abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0cloche-reach-{place}")
        abstract.listen()
        abstract.setblocking(False)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listener.setblocking(False)
        port = inner.address.rpartition(":")[2]
        Redirects.target = f"{inner.address}/redirected"
        disk = place / "disk"
        disk.mkdir()
        (disk / "disk.txt").write_bytes(CONTENT + b"disk")
        hidden = place / "hidden.txt"
        hidden.write_bytes(CONTENT + b"file")
        refused = {
            "secret": f"{inner.address}/secret",
            "inner": f"http://localhost:{port}/inner",
            "tunnel": f"https://127.0.0.1:{port}/tunnel",
            "link": "http://169.254.169.254/latest/meta-data",
            "file": hidden.as_uri(),
            "around": f"{disk.as_uri()}/../hidden.txt",
        }
        redirects = f"http://127.0.0.1:{redirecting.server_port}"
        packages = [package(place, name, uri) for name, uri in refused.items()]
        packages.append(package(place, "redirected", f"{redirects}/redirected"))
        reaches = f"echo > /dev/tcp/127.0.0.1/{listener.getsockname()[1]}\n"
        reaches = f"( {reaches.strip()} ) 2>/dev/null\n"
        packages.append(package(place, "named", f"{mirror.address}/named", reaches))
        packages.append(package(place, "mirrored", "mirror://here/mirrored"))
        packages.append(package(place, "disk", f"{disk.as_uri()}/disk.txt"))
        fragment = place / "portage/mine"
        fragment.mkdir(parents=True)
        (fragment / "mirrors").write_text(
            f"here {mirror.address}\nthere {redirects}\ndisk {disk.as_uri()}\n"
        )
        machine(place, "reach", *packages, more='portage = ["mine"]\n')
        (place / "repo/profiles/categories").open("a").write("reach\n")
        store.user.own(place)
        done = store.cloche("build", "reach", "--keep-going", "--progress", "plain", cwd=place)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        refused["redirected"] = Redirects.target
        for name, uri in refused.items():
            told = [line for line in done.stderr.splitlines() if f"reach/{name}-1" in line]
            said = f"fetch failed: {name}.txt: {uri} is refused: it "
            assert any(said in line for line in told), (name, done.stderr)
        assert "7 failed" in done.stderr.splitlines()[-1]
        assert inner.asked == []
        for quiet in (abstract, listener):
            with pytest.raises(BlockingIOError):
                quiet.accept()
    built = store.cloche("plan", "reach", cwd=place, check=True).stdout
    for name in ("named", "mirrored", "disk"):
        (line,) = (row for row in built.splitlines() if f"reach/{name}-1" in row)
        assert "reuse" in line
