"""A tarball with secrets in it, made from one without: a stream to a stream."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cloche.archives.compression import Writable
from cloche.archives.decompression import Readable
from cloche.archives.tarformat import BLOCK, Member, TarReader
from cloche.config.errors import Origin
from cloche.config.secrets import Secret
from cloche.errors import ClocheError
from cloche.layers import SOURCE_DATE_EPOCH

LIMIT = 1 << 20  # bytes of a file of accounts, and of what describes one member
_CHUNK = 1 << 20
_FORMAT: Final = tarfile.PAX_FORMAT
_SHADOW, _PASSWD, _GROUP = "./etc/shadow", "./etc/passwd", "./etc/group"


@dataclass(frozen=True, slots=True)
class Revealed:
    """A secret and its content, which no message shows."""

    secret: Secret
    content: bytes = field(repr=False)


class _Raw:
    """A stream that keeps the bytes which were read of it, until they are taken."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._seen = bytearray()

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes, none at the end."""
        data = self._stream.read(size)
        self._seen += data
        return data

    def take(self) -> bytes:
        """What was read since this was called last."""
        seen = bytes(self._seen)
        self._seen.clear()
        return seen


@dataclass(slots=True)
class Sealing:
    """A tarball's way from a stream to another. What it has under secrets' names is left out.

    Its members are untrusted. They are copied byte by byte, but /etc/shadow.
    """

    source: Readable
    stream: Writable
    name: Path  # of the source, for messages
    revealed: Sequence[Revealed]
    accounts: dict[str, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)

    def run(self) -> None:
        """Copy all members, then write the secrets and the end. Raises ClocheError."""
        raw = _Raw(self.source)
        reader = TarReader(raw, self.name, LIMIT)
        padding = b""
        for member in reader:
            # What the reader skips of the member before comes first.
            head = raw.take()[len(padding) :]
            self._check(member)
            content = self._content(member, head, reader, raw)
            padding = bytes(-content % BLOCK)
        while self.source.read(_CHUNK):
            pass
        if self._passwords() and _SHADOW not in self.accounts:
            where = next(each.secret.origin for each in self.revealed if each.secret.user)
            todo = "add a package that brings one, such as sys-apps/shadow"
            what = "the root has no /etc/shadow, so it cannot have passwords"
            raise ClocheError(what, where=where, todo=todo)
        self._append()

    def _content(self, member: Member, head: bytes, reader: TarReader, raw: _Raw) -> int:
        """Copy a member, change it, or leave it out; the number of bytes of its content."""
        name, size = _name(member), 0
        if name in (_SHADOW, _PASSWD, _GROUP):
            content = self._account(name, member, reader)
            raw.take()
            text = _with_passwords(content, self._passwords()) if name == _SHADOW else content
            self.stream.write(head[:-BLOCK] + _sized(head[-BLOCK:], len(text)))
            self.stream.write(text.ljust(_padded(len(text)), b"\0"))
            return len(content)
        left_out = any(name == f".{each.secret.path}" for each in self._files())
        if not left_out:
            self.stream.write(head)
        while piece := reader.read(_CHUNK):
            raw.take()
            size += len(piece)
            if not left_out:
                self.stream.write(piece)
        if not left_out:
            self.stream.write(bytes(-size % BLOCK))
        return size

    def _check(self, member: Member) -> None:
        """Refuse what would take a secret somewhere else, or would not be there any more."""
        name, target = _name(member), _text(member.target)
        for each in (each.secret for each in self._files()):
            path = f".{each.path}"
            if name in _parents(path):
                if member.type != "directory":
                    raise ClocheError(f"{name[1:]} is no directory in the root", where=each.origin)
                self.directories.add(name)
            if name == path and member.type == "directory":
                raise ClocheError(f"{each.path} is a directory in the root", where=each.origin)
            if member.type == "link" and path in (name, target):
                what = f"{name[1:]} and {target[1:]} are one file in the root"
                raise ClocheError(what, where=each.origin, todo="give the secret another path")

    def _account(self, name: str, member: Member, reader: TarReader) -> bytes:
        """Read a file of accounts."""
        if member.type != "file" or name in self.accounts:
            raise ClocheError(f"{name[1:]} is not one plain file in the root")
        if member.size > LIMIT or member.extents not in ((), ((0, member.size),)):
            raise ClocheError(f"{name[1:]} of the root is too large")
        content = b""
        while piece := reader.read(_CHUNK):
            content += piece
        self.accounts[name] = content
        return content

    def _passwords(self) -> dict[bytes, bytes]:
        return {e.secret.user.encode(): e.content for e in self.revealed if e.secret.user}

    def _files(self) -> list[Revealed]:
        return [each for each in self.revealed if each.secret.path]

    def _append(self) -> None:
        for revealed in self._files():
            each, content = revealed.secret, revealed.content
            for parent in _parents(f".{each.path}"):
                if parent not in self.directories:
                    self.directories.add(parent)
                    self.stream.write(_info(parent, tarfile.DIRTYPE, 0o755).tobuf(_FORMAT))
            info = _info(f".{each.path}", tarfile.REGTYPE, each.mode)
            info.size = len(content)
            user, _, group = each.owner.partition(":")
            info.uid = self._id(_PASSWD, user, each.origin)
            info.gid = self._id(_GROUP, group, each.origin)
            padded = content.ljust(_padded(len(content)), b"\0")
            self.stream.write(info.tobuf(_FORMAT) + padded)
        self.stream.write(bytes(2 * BLOCK))

    def _id(self, file: str, name: str, origin: Origin) -> int:
        for line in self.accounts.get(file, b"").split(b"\n"):
            fields = line.split(b":")
            if fields[0] == name.encode() and len(fields) > 2 and fields[2].isdigit():
                return int(fields[2])
        if name == "root":
            return 0
        what = "user" if file == _PASSWD else "group"
        raise ClocheError(f"the root has no {what} {name}, who owns a secret", where=origin)


def _with_passwords(shadow: bytes, passwords: Mapping[bytes, bytes]) -> bytes:
    """shadow(5) with these hashes. Raises ClocheError for a user who is not there."""
    lines = [line.split(b":") for line in shadow.split(b"\n")]
    missing = passwords.keys() - {fields[0] for fields in lines if len(fields) > 1}
    if missing:
        raise ClocheError(f"the root has no user {min(missing).decode()}, who has a password")
    for fields in lines:
        if fields[0] in passwords and len(fields) > 1:
            fields[1] = passwords[fields[0]]
    return b"\n".join(map(b":".join, lines))


def _sized(header: bytes, size: int) -> bytes:
    """A header (ustar) of a member of another size."""
    new = bytearray(header)
    new[124:136] = f"{size:011o}\0".encode()
    new[148:156] = b" " * 8
    new[148:156] = f"{sum(new):06o}\0 ".encode()
    return bytes(new)


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, SOURCE_DATE_EPOCH
    return info


def _name(member: Member) -> str:
    return _text(member.name).rstrip("/")


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")


def _parents(name: str) -> tuple[str, ...]:
    """The directories above ``./a/b/c``: ``./a``, ``./a/b``."""
    parts = name.split("/")
    return tuple("/".join(parts[:end]) for end in range(2, len(parts)))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
