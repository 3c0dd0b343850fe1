"""The other side of the client's requests, on the loopback: it keeps descriptions as the service
does, and sends the events of a script, cut where the script says so."""

from __future__ import annotations

import gzip
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cloche.targets import description as targets

PROBLEM = "application/problem+json"


@dataclass
class Scripted:
    """What it answers with, and what it was asked."""

    description: targets.Description | None = None
    public_key: str | None = None
    token: str | None = None  # that allows to enrol
    events: list[dict[str, Any]] = field(default_factory=list)
    cut_after: int = 0  # events of each connection; 0: all
    statuses: list[int] = field(default_factory=list)  # of the next requests, instead of an answer
    moved_to: str = ""  # another server, to which it redirects
    log: bytes = b"one\ntwo\n"
    asked: list[tuple[str, str, Message, bytes]] = field(default_factory=list)
    refused: dict[str, str] | None = None  # the answer to a wish
    changed: dict[str, str] = field(default_factory=dict)  # what the target asked to be changed
    endless: bool = False  # the build never ends
    binhost: Callable[[], Path | None] = lambda: None  # the directory below /t/ID
    address: str = ""

    def requests(self, method: str, end: str = "") -> list[tuple[Message, bytes]]:
        """Headers and bodies of the requests with this method whose path ends so."""
        return [(h, b) for m, path, h, b in self.asked if m == method and path.endswith(end)]

    def wanted(self) -> list[Any]:
        """What was asked for."""
        return [json.loads(gzip.decompress(body)) for _, body in self.requests("POST", "/wants")]


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Scripted]:
    """Serve a script at a free port, with TLS if there is a file with certificate and key."""
    script = Scripted()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(script))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "https" if certificate else "http"
    script.address = f"{scheme}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()


def handler_of(script: Scripted) -> type[BaseHTTPRequestHandler]:
    """A handler that answers as a script says."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (OSError, ValueError):
                self.close_connection = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, self.headers, body))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if script.statuses and (status := script.statuses.pop(0)) != 200:
                self.send(status, {"what": "not now", "todo": "wait"}, PROBLEM)
            elif script.moved_to:
                self.send(302, {"to": script.moved_to + self.path})
            elif self.path.endswith("/events"):
                self.stream()
            else:
                self.send(*result(script, self.command, self.path, self.headers, body))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815

        def send(self, status: int, data: Any, kind: str = "application/json") -> None:
            text = data if isinstance(data, bytes) else json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            if status == 302:
                self.send_header("Location", data["to"])
            self.end_headers()
            self.wfile.write(text)

        def stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Connection", "close")
            self.end_headers()
            first = int(self.headers.get("Last-Event-ID", 0))
            last = first + script.cut_after if script.cut_after else None
            for number, event in enumerate(script.events[first:last], first + 1):
                self.wfile.write(f": keep\nid: {number}\ndata: {json.dumps(event)}\n\n".encode())
            if last is not None and last < len(script.events):
                self.wfile.write(b'id: 999\ndata: {"event": "cut')
            self.close_connection = True

    return Handler


def result(script: Scripted, method: str, path: str, headers: Any, body: bytes) -> tuple[Any, ...]:
    """The answer to a request: a status, data, perhaps their type."""
    if path.startswith("/t/"):
        name = path.removeprefix("/t/").partition("/")[2]
        directory = script.binhost()
        if directory and (file := directory / name).is_file():
            return 200, file.read_bytes(), "application/octet-stream"
        return 404, {}
    if (method, path) == ("POST", "/api/v1/targets"):
        if script.token and headers.get("Authorization") != f"Bearer {script.token}":
            return 401, {"what": "a token is needed", "todo": "ask the administrator"}, PROBLEM
        text = json.dumps(json.loads(body)["description"]).encode()
        script.description = targets.decode_description(text)
        made = {"id": "weak1", "token": "s3cret", "level": "3a", "notes": ["welcome"]}
        return 201, {**made, **({"public_key": script.public_key} if script.public_key else {})}
    if path.endswith("/description"):
        return described(script, method, body)
    if path.endswith("/wants"):
        if script.refused:
            return 429, script.refused, PROBLEM
        return (
            (202, {"build": "b1", "events": "/api/v1/builds/b1/events", "position": 0})
            if (script.events)
            else (200, {"ready": []})
        )
    if path == "/api/v1/targets/weak1" and script.description:
        if method == "DELETE":
            script.description = None
            return 204, b""
        script.changed |= json.loads(body) if method == "PATCH" else {}
        digest = targets.digest(script.description)
        signed = {"public_key": script.public_key} if script.public_key else {}
        return 200, {**signed, "id": "weak1", "digest": digest, "level": "3a", **script.changed}
    if path == "/api/v1/builds/b1":
        sent = [h for h, _ in script.requests("GET", "/events")]
        seen = int(sent[-1].get("Last-Event-ID", 0)) if sent else 0
        over = not script.cut_after or seen + script.cut_after >= len(script.events)
        return 200, {"id": "b1", "state": "done" if over and not script.endless else "running"}
    if "/log/" in path:
        return 200, script.log, "text/plain"
    if path.startswith("/api/v1/builds?"):
        return 200, {"builds": [{"id": "b1", "state": "running", "atoms": ["a/b"]}]}
    return 404, {"what": "not there"}, PROBLEM


def described(script: Scripted, method: str, body: bytes) -> tuple[Any, ...]:
    """Take a description, or a change of it."""
    assert script.description is not None
    if method == "PATCH":
        try:
            script.description = targets.changed(script.description, targets.decode_change(body))
        except targets.StaleChangeError as error:
            return 409, {"what": error.what, "todo": error.todo}, PROBLEM
    else:
        script.description = targets.decode_description(body)
    return 200, {"digest": targets.digest(script.description), "notes": []}
