"""The protocol between emerge in a freshroot and `freshroot_desk` outside.

emerge sends a request, then keys, terminal sizes and interrupts. The desk sends output to show, and
at the end a status and the directory of the packages.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
from typing import Any


def terminal() -> dict[str, Any]:
    """What the target of a write looks like."""
    size = window() if sys.stdout.isatty() else (0, 0)
    term = os.environ.get("TERM", "") if sys.stdout.isatty() else ""
    return {"columns": size[0], "rows": size[1], "term": term}


def window() -> tuple[int, int]:
    """Columns and rows of our terminal."""
    try:
        return tuple(os.get_terminal_size(sys.stdout.fileno()))  # type: ignore[return-value]
    except OSError:
        return 80, 24


def frame(kind: bytes, content: bytes = b"") -> bytes:
    """One message of the conversation: its kind, its length, its content."""
    return kind + struct.pack(">I", len(content)) + content


def converse(connection: socket.socket, request: bytes) -> tuple[int, str | None]:
    """Send a request, show what comes, pass on keys and interrupts, until the end."""
    import select

    stop, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for each in (signal.SIGINT, signal.SIGWINCH):
        signal.signal(each, lambda *_: None)
    connection.sendall(frame(b"r", request))
    with Keys() as keys:
        while True:
            ready, _, _ = select.select([connection, stop, *keys.watched], [], [])
            if stop in ready:
                for number in os.read(stop, 64):
                    resized = number == signal.SIGWINCH
                    size = struct.pack(">HH", *window())
                    connection.sendall(frame(b"w", size) if resized else frame(b"i"))
            if keys.watched and keys.watched[0] in ready:
                connection.sendall(frame(b"k", keys.read()))
            if connection in ready:
                kind, content = received(connection)
                if kind == b"o":
                    write(content)
                elif kind == b"e":
                    answer = json.loads(content)
                    return int(answer["status"]), answer.get("packages")
                else:
                    return 1, None


class Keys:
    """Single keys of our terminal, if we have one: the picture of a build can be steered."""

    def __init__(self) -> None:
        both = sys.stdin.isatty() and sys.stdout.isatty()
        self.watched = [sys.stdin.fileno()] if both else []

    def __enter__(self) -> Keys:
        import termios
        import tty

        if self.watched:
            self._saved = termios.tcgetattr(self.watched[0])
            tty.setcbreak(self.watched[0])
        return self

    def __exit__(self, *_: object) -> None:
        import termios

        if self.watched:
            termios.tcsetattr(self.watched[0], termios.TCSADRAIN, self._saved)

    def read(self) -> bytes:
        """What was typed."""
        data = os.read(self.watched[0], 256)
        if not data:
            self.watched = []
        return data


def received(connection: socket.socket) -> tuple[bytes, bytes]:
    """The next message; an empty kind at the end."""
    head = exactly(connection, 5)
    if len(head) < 5:
        return b"", b""
    return head[:1], exactly(connection, struct.unpack(">I", head[1:])[0])


def exactly(connection: socket.socket, count: int) -> bytes:
    """That many bytes, or fewer at the end."""
    data = b""
    while len(data) < count and (more := connection.recv(count - len(data))):
        data += more
    return data


def write(data: bytes) -> None:
    """Show what cloche says."""
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]
