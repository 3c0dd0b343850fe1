"""Files served over HTTP on the loopback: enough for git's dumb protocol."""

from __future__ import annotations

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Quiet(SimpleHTTPRequestHandler):
    """Files, without a log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def serve(directory: Path) -> ThreadingHTTPServer:
    """Serve a directory at a free port, until `stop`."""
    handler = partial(Quiet, directory=str(directory))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def address_of(server: ThreadingHTTPServer) -> str:
    """The server's URL, without a slash at its end."""
    return f"http://127.0.0.1:{server.server_port}"


def stop(server: ThreadingHTTPServer) -> None:
    """Answer nobody any more."""
    server.shutdown()
    server.server_close()
