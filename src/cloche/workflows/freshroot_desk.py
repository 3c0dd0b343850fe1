"""The desk outside of a freshroot: takes the requests of its `emerge`, has each carried out.

Each request is carried out by a process of its own, whose terminal the desk joins to that of the
one who asks: the live graph is drawn there, and keys steer it. That process ends with ours. What
comes from inside is untrusted: every message has a limit, and a connection that says anything else
is closed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from cloche.errors import ClocheError
from cloche.fetching.listening import Held, served, unix_listener
from cloche.workflows.freshroot_request import (
    HEAD,
    LONGEST,
    LONGEST_OTHER,
    WIDEST,
    BadRequestError,
    Request,
    decode_request,
    length_of,
    message,
)

SOCKET = "socket"
_BLOCK = 65536
_PATIENCE = 60.0  # seconds for a message that was begun, and for a reader that takes nothing
_AT_ONCE = 8  # connections; more wait until one of them is done
_GRACE = 20.0  # seconds that a process has for ending by itself


@dataclass
class Desk:
    """Serves one freshroot. ``room`` is what the root shows of the host: socket and packages.

    ``command`` carries out a request: its last words are the file of the request and a directory
    for the packages, which it makes. ``requests`` is a directory that the root does not show.
    """

    room: Path
    requests: Path
    command: Sequence[str]
    environment: Mapping[str, str]
    _number: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _places: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(_AT_ONCE))
    _held: Held = field(default_factory=Held)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve while the block lasts; what is being carried out then ends with it."""
        listener = unix_listener(self.room / SOCKET)
        try:
            with served(listener, self._serve, self._held, self._places):
                yield
        finally:
            for _ in range(_AT_ONCE):  # until all have ended
                self._places.acquire(timeout=_GRACE)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE)
        with contextlib.suppress(OSError, EOFError):
            self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            kind, content = _received(connection, LONGEST)
            if kind != b"r":
                raise BadRequestError("it does not begin with one")
            request = decode_request(content)
        except BadRequestError as error:
            _tell(connection, error)
            _end(connection, int(error.status))
            return
        if not self._turn.acquire(blocking=False):
            connection.sendall(message(b"o", b"waiting for another emerge of this freshroot\r\n"))
            self._turn.acquire()
        try:
            if self._held.ended:
                return
            self._number += 1
            name = f"{self._number}"
            file = self.requests / f"{name}.json"
            file.write_bytes(content)
            status = self._carried_out(connection, request, file, self.room / name)
            file.unlink()
            packages = f"{name}/binpkgs" if status == 0 else None
            _end(connection, status, packages)
        finally:
            self._turn.release()

    def _carried_out(
        self, connection: socket.socket, request: Request, file: Path, into: Path
    ) -> int:
        """Run the command, with its terminal joined to the connection; its exit status."""
        master, slave = pty.openpty()
        try:
            _furnish(slave, request)
            process = subprocess.Popen(
                [*self.command, str(file), str(into)],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**self.environment, **_terminal(request)},
                start_new_session=True,
            )
        finally:
            os.close(slave)
        try:
            _join(connection, master, process)
        finally:
            os.close(master)
            _ended(process)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _terminal(request: Request) -> dict[str, str]:
    """The variables about the terminal of the one who asks."""
    if request.columns and request.term:
        return {"TERM": request.term}
    return {"TERM": "dumb", "NO_COLOR": "1"}


def _furnish(slave: int, request: Request) -> None:
    """Give a terminal the size of the other one; without one, let text pass as it is."""
    fcntl.ioctl(slave, termios.TIOCSWINSZ, _size(request.rows or 24, request.columns or 80))
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~termios.ECHO
    if not request.columns:
        attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)


def _size(rows: int, columns: int) -> bytes:
    return struct.pack("HHHH", rows, columns, 0, 0)


def _join(connection: socket.socket, master: int, process: subprocess.Popen[bytes]) -> None:
    """Copy both ways until the process has closed its terminal, or the other side is gone."""
    while True:
        ready, _, _ = select.select([connection.fileno(), master], [], [])
        data = b""
        if master in ready:
            try:
                data = os.read(master, _BLOCK)
            except OSError:  # EIO: it has ended
                return
        try:
            if data:
                connection.sendall(message(b"o", data))
            if connection.fileno() in ready:
                _heard(*_received(connection, LONGEST_OTHER), master, process)
        except (OSError, EOFError, BadRequestError):
            process.send_signal(signal.SIGINT)
            return


def _heard(kind: bytes, content: bytes, master: int, process: subprocess.Popen[bytes]) -> None:
    """Act on a message. Raises BadRequestError, EOFError."""
    if kind == b"i":
        process.send_signal(signal.SIGINT)
    elif kind == b"w" and len(content) == 4:
        columns, rows = struct.unpack(">HH", content)
        if max(columns, rows) > WIDEST:
            raise BadRequestError(f"a terminal of {columns} columns and {rows} rows")
        fcntl.ioctl(master, termios.TIOCSWINSZ, _size(rows, columns))
    elif kind == b"k":
        if select.select([], [master], [], 0)[1]:  # keys that nobody takes are lost
            os.write(master, content)
    else:
        raise BadRequestError("a message of no known kind")


def _ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process that was asked to end."""
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _received(connection: socket.socket, most: int) -> tuple[bytes, bytes]:
    """The next message. Raises EOFError at the end, BadRequestError."""
    head = _exactly(connection, HEAD)
    return head[:1], _exactly(connection, length_of(head, most))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        more = connection.recv(min(_BLOCK, count - len(data)))
        if not more:
            raise EOFError
        data += more
    return bytes(data)


def _tell(connection: socket.socket, error: ClocheError) -> None:
    connection.sendall(message(b"o", f"cloche: {error}\r\n".encode(errors="replace")))


def _end(connection: socket.socket, status: int, packages: str | None = None) -> None:
    answer = {"status": status, "packages": packages}
    connection.sendall(message(b"e", msgspec.json.encode(answer)))
