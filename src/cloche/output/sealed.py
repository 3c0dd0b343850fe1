"""A tarball with secrets in it, made from one without: a stream to a stream."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cloche.archives.compression import Writable
from cloche.archives.decompression import Readable
from cloche.config.secrets import Secret
from cloche.errors import ClocheError
from cloche.layers import SOURCE_DATE_EPOCH

LIMIT = 1 << 20  # bytes of a file of accounts
HEADERS = 1 << 20  # bytes that describe one member
_CHUNK = 1 << 20
_BLOCK = 512
_FORMAT: Final = tarfile.PAX_FORMAT
_SHADOW, _PASSWD, _GROUP = b"./etc/shadow", b"./etc/passwd", b"./etc/group"


@dataclass(slots=True)
class Sealing:
    """A tarball's way from a stream to another. What it has under secrets' names is left out.

    Members are copied as they are, header by header (pax(1), ustar), but /etc/shadow.
    """

    source: Readable
    stream: Writable
    revealed: Sequence[tuple[Secret, bytes]]
    accounts: dict[bytes, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Copy all members, then write the secrets and the end."""
        passwords = {each.user.encode(): found for each, found in self.revealed if each.user}
        files = {f".{each.path}".encode(): each for each, _ in self.revealed if each.path}
        above = {parent for name in files for parent in _parents(name.decode())}
        for before, header, name in self._members():
            size = _size(header)
            if name in files:
                self._copy(size, None)
            elif name in (_SHADOW, _PASSWD, _GROUP):
                content = self.accounts[name] = self._take(size)
                if name == _SHADOW and passwords:
                    content, passwords = _with_passwords(content, passwords), {}
                self._write(before, header, content)
            else:
                self.stream.write(before + header)
                self._copy(size, self.stream)
            if name.decode(errors="replace").rstrip("/") in above:
                self.directories.add(name.decode().rstrip("/"))
        if passwords:
            raise ClocheError("the root has no /etc/shadow, so it cannot have passwords")
        self._append()

    def _append(self) -> None:
        for each, content in self.revealed:
            if not each.path:
                continue
            for parent in _parents(f".{each.path}"):
                if parent not in self.directories:
                    self.directories.add(parent)
                    self.stream.write(_info(parent, tarfile.DIRTYPE, 0o755).tobuf(_FORMAT))
            info = _info(f".{each.path}", tarfile.REGTYPE, each.mode)
            info.size = len(content)
            user, _, group = each.owner.partition(":")
            info.uid, info.gid = self._id(_PASSWD, user), self._id(_GROUP, group)
            padded = content.ljust(_padded(len(content)), b"\0")
            self.stream.write(info.tobuf(_FORMAT) + padded)
        self.stream.write(bytes(2 * _BLOCK))

    def _id(self, file: bytes, name: str) -> int:
        for line in self.accounts.get(file, b"").split(b"\n"):
            fields = line.split(b":")
            if fields[0] == name.encode() and len(fields) > 2:
                return int(fields[2])
        if name == "root":
            return 0
        what = "user" if file == _PASSWD else "group"
        raise ClocheError(f"a secret belongs to {name}, but the root has no such {what}")

    def _members(self) -> Iterator[tuple[bytes, bytes, bytes]]:
        """Each member's extended headers, its header and its name; its content is read next."""
        before, name = b"", b""
        while header := self._read(_BLOCK):
            if header == bytes(_BLOCK):  # the end
                while self.source.read(_CHUNK):
                    pass
                return
            if header[156:157] in b"xgLK":
                size = _size(header)
                if size + len(before) > HEADERS:
                    raise ClocheError("a member of the tarball has too long a description")
                content = self._read(_padded(size))
                name = _path_in(content[:size], header[156:157]) or name
                before += header + content
                continue
            yield before, header, name or _name(header)
            before, name = b"", b""

    def _take(self, size: int) -> bytes:
        """Read the content of a file of accounts."""
        if size > LIMIT:
            raise ClocheError("a file of accounts in the root is too large")
        return self._read(_padded(size))[:size]

    def _copy(self, size: int, to: Writable | None) -> None:
        """Copy a member's content, padding and all, or leave it out."""
        left = _padded(size)
        while left:
            piece = self._read(min(left, _CHUNK))
            left -= len(piece)
            if to is not None:
                to.write(piece)

    def _write(self, before: bytes, header: bytes, content: bytes) -> None:
        """Write a member with other content."""
        new = bytearray(header)
        new[124:136] = f"{len(content):011o}\0".encode()
        new[148:156] = b" " * 8
        new[148:156] = f"{sum(new):06o}\0 ".encode()
        self.stream.write(before + bytes(new) + content.ljust(_padded(len(content)), b"\0"))

    def _read(self, size: int) -> bytes:
        pieces = []
        while size and (piece := self.source.read(size)):
            pieces.append(piece)
            size -= len(piece)
        if size and (pieces or size != _BLOCK):
            raise ClocheError("the tarball ends early")
        return b"".join(pieces)


def _with_passwords(shadow: bytes, passwords: Mapping[bytes, bytes]) -> bytes:
    """shadow(5) with these hashes. Raises ClocheError for a user who is not there."""
    lines = [line.split(b":") for line in shadow.split(b"\n")]
    missing = passwords.keys() - {fields[0] for fields in lines}
    if missing:
        raise ClocheError(f"the root has no user {min(missing).decode()}, who has a password")
    for fields in lines:
        if fields[0] in passwords:
            fields[1] = passwords[fields[0]]
    return b"\n".join(map(b":".join, lines))


def _path_in(records: bytes, kind: bytes) -> bytes | None:
    """The name in a pax header, or a long name of GNU's."""
    if kind == b"L":
        return records.rstrip(b"\0")
    found = re.search(rb"(?:^|\n)\d+ path=([^\n]*)\n", records) if kind == b"x" else None
    return found[1] if found else None


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, SOURCE_DATE_EPOCH
    return info


def _parents(name: str) -> tuple[str, ...]:
    """The directories above ``./a/b/c``: ``./a``, ``./a/b``."""
    parts = name.split("/")
    return tuple("/".join(parts[:end]) for end in range(2, len(parts)))


def _name(header: bytes) -> bytes:
    name, prefix = header[:100].rstrip(b"\0"), header[345:500].rstrip(b"\0")
    return prefix + b"/" + name if prefix else name


def _size(header: bytes) -> int:
    field = header[124:136]
    if field[0] & 0x80:  # GNU's base 256
        return int.from_bytes(field[1:])
    try:
        return int(field.strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise ClocheError("the tarball is damaged") from error


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
