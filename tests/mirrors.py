"""Mirrors on loopback with faults, and OpenPGP keys: both real, both gone after the test."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Signer:
    """A secret key in a home of its own."""

    home: Path
    fingerprint: str

    def run(self, *words: str, data: str = "") -> str:
        gpg = ("gpg", "--homedir", str(self.home), "--batch", "--quiet", "--yes", *words)
        done = subprocess.run(gpg, input=data, capture_output=True, text=True, check=True)
        return done.stdout

    def clear(self, text: str) -> str:
        """Sign in clear text."""
        return self.run("--local-user", self.fingerprint, "--clearsign", data=text)

    def detached(self, file: Path) -> str:
        """Sign a file beside it."""
        words = ("--local-user", self.fingerprint, "--armor", "--detach-sign", "--output", "-")
        return self.run(*words, str(file))

    def keyring(self, path: Path) -> Path:
        """Write the public key."""
        path.write_text(self.run("--armor", "--export", self.fingerprint))
        return path


@contextmanager
def signer(name: str = "release", *more: str, expires: str = "never") -> Iterator[Signer]:
    """Make a key; ``more`` are options of gpg, such as a time that it takes for now."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as home:  # short: a socket lies in it
        made = Signer(Path(home), "")
        words = ("--passphrase", "", "--quick-generate-key", f"{name}@test.invalid", "ed25519")
        made.run(*more, *words, "sign", expires)
        told = made.run("--with-colons", "--list-keys")
        (found, *_) = re.findall(r"^fpr:+([0-9A-F]{40}):", told, re.MULTILINE)
        try:
            yield Signer(Path(home), found)
        finally:
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@dataclass
class Mirror:
    """Files by path, and what goes wrong: ``cut`` bytes after which an answer breaks off, each
    listed number once; ``slow`` seconds before each piece; ``validators`` off: no ETag."""

    files: dict[str, bytes]
    cut: dict[str, list[int]] = field(default_factory=dict)
    lies: dict[str, int] = field(default_factory=dict)
    slow: float = 0.0
    validators: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""

    def put(self, path: str, content: bytes | str) -> None:
        self.files[path] = content.encode() if isinstance(content, str) else content


@contextmanager
def served(files: dict[str, bytes] | None = None) -> Iterator[Mirror]:
    """Serve files on loopback."""
    mirror = Mirror(dict(files or {}))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, mirror)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    mirror.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, mirror: Mirror) -> None:
    path = request.path.lstrip("/")
    ranged = request.headers.get("Range", "")
    mirror.asked.append((path, ranged))
    content = mirror.files.get(path)
    if content is None:
        request.send_error(404)
        return
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    first = 0
    if ranged and request.headers.get("If-Range") == tag:
        first = int(ranged.removeprefix("bytes=").rstrip("-"))
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
    else:
        request.send_response(200)
    if mirror.validators:
        request.send_header("ETag", tag)
    request.send_header("Content-Length", str(mirror.lies.get(path, len(content)) - first))
    request.end_headers()
    cuts = mirror.cut.get(path, [])
    end = cuts.pop(0) if cuts else len(content)
    for at in range(first, end, 1 << 16):
        time.sleep(mirror.slow)
        request.wfile.write(content[at : min(at + (1 << 16), end)])
    request.close_connection = True
