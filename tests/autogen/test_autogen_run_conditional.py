"""Pages of an index are asked for again by their validators, over one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cloche.autogen.errors import NotPublishedError, UpstreamError
from cloche.autogen.run.conditional import KeptIndex
from cloche.seeds.debian.pip_config import PipSettings

PAGE = b'{"meta": {"api-version": "1.0"}, "name": "a", "files": []}'
ETAG = '"1"'


class Server(ThreadingHTTPServer):
    connections = 0
    statuses: list[int]

    def index(self, cache: Path, *more: str) -> KeptIndex:
        return KeptIndex(PipSettings((), (*more, f"{self.address}/simple/")), cache)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def do_GET(self) -> None:
        same = self.headers.get("If-None-Match") == ETAG
        found = self.path.startswith("/simple/p")
        status = 304 if same else 200 if found else 404
        self.server.statuses.append(status)
        self.send_response(status)
        self.send_header("ETag", ETAG)
        if not same:
            self.send_header("Content-Type", "application/vnd.pypi.simple.v1+json")
            self.send_header("Content-Length", str(len(PAGE) if found else 0))
        self.end_headers()
        self.wfile.write(b"" if same or not found else PAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server(("127.0.0.1", 0), Handler) as made:
        made.statuses = []
        threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def test_pages_that_did_not_change_need_one_connection_and_no_content(
    server: Server, tmp_path: Path
) -> None:
    with server.index(tmp_path) as index:
        first = [index.state(f"p{number}") for number in range(5)]
        assert index.page("p1").files == ()  # asked for before in this run
    assert server.statuses == [200] * 5
    server.connections = 0
    with server.index(tmp_path) as index:
        assert [index.state(f"p{number}") for number in range(5)] == first
        assert index.page("p1").files == ()
    assert server.statuses == [200] * 5 + [304] * 5
    assert server.connections == 1


def test_a_kept_page_that_is_damaged_is_asked_for_whole(server: Server, tmp_path: Path) -> None:
    with server.index(tmp_path) as index:
        state = index.state("p1")
    (kept,) = tmp_path.iterdir()
    for data in (b"", b"{", kept.read_bytes()[:-5], b"[]\n"):
        kept.write_bytes(data)
        with server.index(tmp_path) as index:
            assert index.state("p1") == state
    assert server.statuses == [200] * 5


def test_an_index_without_the_project_is_followed_by_the_next_one(
    server: Server, tmp_path: Path
) -> None:
    with server.index(tmp_path, f"{server.address}/other/") as index:
        index.state("p1")
        with pytest.raises(NotPublishedError):
            index.state("gone")
    assert server.statuses == [404, 200, 404, 404]


def test_an_index_that_does_not_answer_is_told(tmp_path: Path) -> None:
    settings = PipSettings((), ("http://user:secret@127.0.0.1:9/simple/",))
    with KeptIndex(settings, tmp_path) as index, pytest.raises(UpstreamError) as caught:
        index.state("p1")
    assert "does not answer" in caught.value.what
    assert "secret" not in str(caught.value)
