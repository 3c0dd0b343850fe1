"""Lists an archive as ``tar --xattrs --numeric-owner -tv`` does (tar(1))."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cloche.archives.decompression import unpacked
from cloche.archives.tarformat import Member, TarReader

_METADATA = 1 << 20  # bytes that may describe one member
_PLAIN = re.compile(rb"[ -\[\]-~]*")  # printable ASCII without a backslash
_TYPES = {
    "file": stat.S_IFREG,
    "link": stat.S_IFREG,
    "directory": stat.S_IFDIR,
    "symlink": stat.S_IFLNK,
    "character": stat.S_IFCHR,
    "block": stat.S_IFBLK,
    "fifo": stat.S_IFIFO,
}


def listing(path: Path) -> Iterator[bytes]:
    """A line for each member, in the archive's order, times in UTC.

    Raises `ImportRefusedError`, OSError.
    """
    width = 19  # of owner and size, as tar(1) begins; it grows with the longest so far
    with unpacked(path) as stream:
        for member in TarReader(stream, path, _METADATA):
            owner, size = f"{member.uid}/{member.gid}", _size(member)
            width = max(width, len(owner) + len(size) + 1)
            time = datetime.fromtimestamp(member.mtime_ns // 10**9, UTC)
            about = (
                f"{_mode(member)} {owner} {size:>{width - len(owner) - 1}} {time:%Y-%m-%d %H:%M} "
            )
            yield about.encode() + _name(member)


def _mode(member: Member) -> str:
    letter = "h" if member.type == "link" else stat.filemode(_TYPES[member.type])[0]
    mark = "*" if member.xattrs else " "
    return f"{letter}{stat.filemode(_TYPES[member.type] | member.mode)[1:]}{mark}"


def _size(member: Member) -> str:
    if member.type in ("character", "block"):
        return f"{member.device[0]},{member.device[1]}"
    return str(member.size)


def _name(member: Member) -> bytes:
    name = _quoted(member.name)
    if member.type == "symlink":
        return name + b" -> " + _quoted(member.target)
    return name + b" link to " + _quoted(member.target) if member.type == "link" else name


def _quoted(name: bytes) -> bytes:
    """A name as tar(1) shows it in a UTF-8 locale: without control and undecodable characters."""
    if _PLAIN.fullmatch(name):
        return name
    plain = name.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\t", b"\\t")
    try:
        plain.decode()
        last = 256
    except UnicodeDecodeError:
        last = 127
    return b"".join(
        bytes([c]) if 32 <= c < last and c != 127 else f"\\{c:03o}".encode() for c in plain
    )
