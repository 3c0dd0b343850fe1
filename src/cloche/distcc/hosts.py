"""Hosts that compile for sandboxes: how they are written, and what is said to them first.

A connection begins with one line of JSON, in which the caller names the layers of the toolchain,
and one line of answer. Then it is distcc's protocol.
"""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass

import msgspec

PORT = 3633  # distccd has 3632
LIMIT = 4  # compiles at once, if nothing is said
MOST_LAYERS = 16  # of a toolchain; a seed is one
KINDS = frozenset({"seed", "strict"})  # kinds of layers with compilers for others
LONGEST = 1 << 12  # bytes of a first line
OK = b"ok\n"
BUSY = b"busy\n"  # all its places are taken
_TCP = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?(?:/(\d{1,4}))?", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Host:
    """A host that `cloche distcc serve` runs on, and how many compiles it gets at once.

    ``place`` is the path of a socket, or a name or an address with a port.
    """

    text: str
    place: str | tuple[str, int]
    limit: int = LIMIT

    def connected(self, seconds: float) -> socket.socket:
        """A connection. Raises OSError."""
        if isinstance(self.place, tuple):
            return socket.create_connection(self.place, seconds)
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            made.settimeout(seconds)
            made.connect(self.place)
        except BaseException:
            made.close()
            raise
        return made


def host_of(text: str) -> Host | None:
    """The host that ``unix:/PATH`` or ``HOST[:PORT][/LIMIT]`` means; None if it means none."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        fits = path.startswith("/") and len(path.encode()) < 108 and "\0" not in path
        return Host(text, path) if fits else None
    found = _TCP.fullmatch(text)
    if found is None:
        return None
    port, limit = int(found[2] or PORT), int(found[3] or LIMIT)
    return Host(text, (found[1].strip("[]"), port), limit) if 0 < port < 65536 and limit else None


class Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a caller says first: the ids of the layers that its compilers are in, bottom first."""

    layers: tuple[str, ...]
    version: int = 1


def hello_of(line: bytes) -> Hello | None:
    """What a first line says; None if it is none."""
    try:
        hello = msgspec.json.decode(line, type=Hello)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    layers = hello.layers
    plain = all(_ID.fullmatch(id) for id in layers) and len(set(layers)) == len(layers)
    return hello if plain and 0 < len(layers) <= MOST_LAYERS and hello.version == 1 else None


def line_of(connection: socket.socket, longest: int, seconds: float) -> bytes:
    """A line, with its end, which must be there in time. Nothing behind it is read.

    Changes the connection's timeout. Raises OSError, EOFError.
    """
    line, end = bytearray(), time.monotonic() + seconds
    while not line.endswith(b"\n"):
        connection.settimeout(max(0.001, end - time.monotonic()))
        seen = connection.recv(4096, socket.MSG_PEEK)
        wanted = seen.find(b"\n") + 1 or len(seen)
        if not seen or len(line) + wanted > longest:
            raise EOFError
        line += connection.recv(wanted)
    return bytes(line)
