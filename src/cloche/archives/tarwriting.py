"""Writing tar: ustar with pax records (POSIX.1-2024, pax), what `cloche.archives.tarformat` reads.

Equal members give equal bytes. Extended attributes are written byte by byte, ACLs too, under the
names that container engines read (``SCHILY.xattr.``).
"""

from __future__ import annotations

import errno
import os
import tarfile

from cloche.archives.compression import Writable
from cloche.archives.tarformat import BLOCK, Member, Read, nothing

_CHUNK = 1 << 20
_RECORD = 20 * BLOCK  # bytes: an archive's length is a multiple of this
_NAME = 99  # bytes of a name in a header; a directory's has a slash besides
_NUMBER = 8**7  # the first that a field of seven digits cannot hold
_SIZE = 8**11  # bytes: the same for sizes
_TYPES = {
    "file": tarfile.REGTYPE,
    "directory": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE,
    "character": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE,
    "fifo": tarfile.FIFOTYPE,
}


class TarWriter:
    """An archive that is written to a stream, one member after the other."""

    def __init__(self, stream: Writable) -> None:
        self._stream = stream
        self._written = 0

    def add(self, member: Member, read: Read = nothing) -> None:
        """Write a member; ``read`` gives a file's content, holes included.

        Times are whole seconds there. Raises OSError, also for less content than the member's size.
        """
        if records := _records(member):
            about = tarfile.TarInfo("././@PaxHeader")
            about.type, about.size = tarfile.XHDTYPE, len(records)
            self._write(_block(about) + records)
            self._fill(BLOCK)
        self._write(_block(_header(member)))
        left = member.size if member.type == "file" else 0
        while left:
            if not (piece := read(min(left, _CHUNK))):
                name = os.fsdecode(member.name)
                raise OSError(errno.EIO, f"the file is {left} bytes too short", name)
            self._write(piece)
            left -= len(piece)
        self._fill(BLOCK)

    def end(self) -> None:
        """Write the end of the archive."""
        self._write(bytes(2 * BLOCK))
        self._fill(_RECORD)

    def _fill(self, unit: int) -> None:
        self._write(bytes(-self._written % unit))

    def _write(self, data: bytes) -> None:
        self._stream.write(data)
        self._written += len(data)


def _header(member: Member) -> tarfile.TarInfo:
    """The header of a member, with zeros for numbers that only a record can hold."""
    info = tarfile.TarInfo(_text(member.name[:_NAME].rstrip(b"/")))
    info.type = _TYPES[member.type]
    info.mode = member.mode
    info.uid, info.gid = (each if each < _NUMBER else 0 for each in (member.uid, member.gid))
    info.mtime = max(0, member.mtime_ns // 10**9)
    info.linkname = _text(member.target[:_NAME])
    info.devmajor, info.devminor = member.device
    if member.type == "file" and member.size < _SIZE:
        info.size = member.size
    return info


def _records(member: Member) -> bytes:
    """The pax records of what a header cannot hold."""
    found = list[tuple[bytes, bytes]]()
    for key, name in ((b"path", member.name), (b"linkpath", member.target)):
        if len(name) > _NAME:
            found.append((key, name))
    for key, number, first in (
        (b"uid", member.uid, _NUMBER),
        (b"gid", member.gid, _NUMBER),
        (b"size", member.size, _SIZE),
    ):
        if number >= first:
            found.append((key, b"%d" % number))
    found += [(b"SCHILY.xattr." + name, value) for name, value in member.xattrs]
    return b"".join(_record(key, value) for key, value in found)


def _record(key: bytes, value: bytes) -> bytes:
    """One record, which begins with its own length in decimal digits."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest)
    while (whole := len(b"%d" % length) + len(rest)) != length:
        length = whole
    return b"%d%s" % (length, rest)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _block(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "surrogateescape")
