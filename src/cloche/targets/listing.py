"""The listing of a target's root, as `client/root_listing.py` writes it; untrusted input.

Nothing in it is believed: every name must lie in a directory that came before it, so that a tree
made after the listing cannot have a name outside of it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.errors import ClocheError, Exit
from cloche.store.tree import LEVELS, Entry, lasting

LARGEST = 1 << 30  # bytes of a listing, unpacked
MOST = 64 << 20  # the same, packed
ENTRIES = 5_000_000
HIGHEST_ID = 65_535  # of cloche's user namespace
SETTLED = 2  # seconds; a later change of a file shows in its ctime
_CHUNK = 1 << 20
_KINDS = {"d": "directory", "f": "file", "l": "symlink"}
_LONGEST = 4096  # bytes of a path


class Row(msgspec.Struct, array_like=True, frozen=True):
    """A line of a listing. Names are Latin-1."""

    path: str
    kind: str
    mode: Any = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    ctime: int = 0
    inode: str = ""
    target: str = ""
    xattrs: tuple[tuple[str, str], ...] = ()
    content: str | None = None


class End(msgspec.Struct, frozen=True):
    """The last line: how many names there are, when the walk began, what could not be read."""

    count: int
    began: int
    closed: tuple[str, ...] = ()
    closed_count: int = 0


@dataclass(frozen=True, slots=True)
class Listing:
    """The names of a root, its own first, each directory before its names.

    Sizes are in bytes, times in whole seconds. ``stamps`` are the ctimes of files that were not
    changed just before, ``contents`` what came with the listing. ``closed`` are names that the user
    may not read there, at most a hundred of ``closed_count``.
    """

    entries: Mapping[bytes, Entry]
    stamps: Mapping[bytes, int]
    contents: Mapping[bytes, bytes]
    closed: tuple[str, ...]
    closed_count: int
    digest: str


def decode_listing(packed: bytes, where: object) -> Listing:
    """Read a listing; ``where`` is the target's name for errors. Raises ClocheError."""
    try:
        return _Decoder(where).listing(_unpacked(packed))
    except (zlib.error, *NOT_DECODABLE) as error:
        raise malformed(where, str(error)) from error


def malformed(where: object, reason: str) -> ClocheError:
    """The error for a listing that cannot be right."""
    return ClocheError(
        f"the listing of its root is malformed: {reason}", where=where, status=Exit.FAILED
    )


def changed(path: bytes, where: object) -> ClocheError:
    """The error for a file that did not stay as it is while the root was read."""
    name = f"/{os.fsdecode(path)}"
    return ClocheError(
        f"{name} changed while the root was read",
        where=where,
        todo=f"run it again; if the file changes all the time, add --leave-out {name}",
        status=Exit.FAILED,
    )


def _unpacked(packed: bytes) -> Iterator[bytes]:
    """The lines of a packed listing."""
    unpacker = zlib.decompressobj()
    rest, text, spent = packed, b"", 0
    while not unpacker.eof:
        found = unpacker.decompress(rest, _CHUNK)
        rest = unpacker.unconsumed_tail
        spent += len(found)
        if not found and not rest:
            raise zlib.error("it is cut off")
        if spent > LARGEST:
            raise zlib.error(f"it is larger than {LARGEST >> 20} MiB")
        *lines, text = (text + found).split(b"\n")
        yield from lines
        if len(text) > _CHUNK:
            raise zlib.error("a line is too long")


class _Decoder:
    """Turns lines into entries, one after the other."""

    def __init__(self, where: object) -> None:
        self._where = where
        self._entries: dict[bytes, Entry] = {}
        self._stamps: dict[bytes, int] = {}
        self._contents: dict[bytes, bytes] = {}
        self._first: dict[str, Entry] = {}
        self._digest = hashlib.sha256(b"cloche listing 1\n")

    def listing(self, lines: Iterator[bytes]) -> Listing:
        decoder = msgspec.json.Decoder(Row)
        for line in lines:
            row = decoder.decode(line)
            if row.kind == "end":
                end = msgspec.convert(row.mode, End)
                if next(lines, None) is not None or end.count != len(self._entries):
                    raise self._bad("its end does not fit")
                stamps = {n: t for n, t in self._stamps.items() if t < end.began - SETTLED}
                if len(stamps) < len(self._stamps):  # equal listings may differ in these files
                    self._digest.update(b"%d" % end.began)
                return Listing(
                    self._entries,
                    stamps,
                    self._contents,
                    end.closed,
                    end.closed_count,
                    self._digest.hexdigest(),
                )
            self._add(row)
            self._digest.update(line + b"\n")
        raise self._bad("it is cut off")

    def _add(self, row: Row) -> None:
        path, kind = _bytes(row.path), _KINDS.get(row.kind)
        if kind is None:
            raise self._bad(f"a name of the kind “{row.kind}”")
        self._check(path, kind, row)
        entry = Entry(
            path=path,
            type=kind,
            mode=0o777 if kind == "symlink" else row.mode,
            uid=row.uid,
            gid=row.gid,
            rdev=0,
            size=row.size,
            mtime_ns=row.mtime * 10**9,
            blocks=0,
            names=1,
            inode=(0, len(self._entries)),
            xattrs=tuple(sorted(self._xattrs(path, row))),
            target=_bytes(row.target) if kind == "symlink" else None,
        )
        if row.inode and kind != "directory":
            entry = self._linked(row.inode, entry)
        self._entries[path] = entry
        if kind == "file":
            self._stamps[path] = row.ctime
            if row.content is not None:
                self._contents[path] = self._content(path, row)

    def _check(self, path: bytes, kind: str, row: Row) -> None:
        """Refuse a name that a tree cannot have, or not at this place."""
        shown = repr(path)[1:]
        if not self._entries:
            if path or kind != "directory":
                raise self._bad("it does not begin with the root")
            return
        above, _, name = path.rpartition(b"/")
        within = self._entries.get(above)
        odd = name in (b"", b".", b"..") or path.startswith(b"/") or b"\0" in path
        if odd or len(name) > 255 or len(path) > _LONGEST:
            raise self._bad(f"the name {shown}")
        if within is None or within.type != "directory" or path.count(b"/") >= LEVELS:
            raise self._bad(f"{shown} is not in a directory")
        if path in self._entries or len(self._entries) >= ENTRIES:
            raise self._bad(f"{shown} is one too many")
        numbers = (row.uid, row.gid, row.size, row.ctime)
        if min(numbers) < 0 or not isinstance(row.mode, int) or not 0 <= row.mode <= 0o7777:
            raise self._bad(f"{shown} has invalid numbers")
        if abs(row.mtime) > 1 << 33 or row.size > 1 << 50 or (row.size and kind != "file"):
            raise self._bad(f"{shown} has invalid numbers")
        if max(row.uid, row.gid) > HIGHEST_ID:
            raise ClocheError(
                f"{shown} belongs to {row.uid}:{row.gid}, which no sandbox has",
                where=self._where,
                todo="leave it out with --leave-out",
            )
        target = _bytes(row.target)
        if kind == "symlink" and (not target or b"\0" in target or len(target) > _LONGEST - 1):
            raise self._bad(f"{shown} is a link to nothing")

    def _linked(self, inode: str, entry: Entry) -> Entry:
        """A further name of an inode, as that of the first one."""
        first = self._first.setdefault(inode, entry)
        if first is entry:
            return entry
        further = replace(first, path=entry.path, link=first.path)
        if (first.type, first.size, first.target) != (entry.type, entry.size, entry.target):
            raise changed(entry.path, self._where)
        return further

    def _xattrs(self, path: bytes, row: Row) -> Iterator[tuple[bytes, bytes]]:
        for name, value in row.xattrs:
            key = _bytes(name)
            if not lasting(key) or key.startswith(b"user.overlay.") or b"\0" in key:
                raise self._bad(f"{path!r} has the attribute {name}")
            yield key, self._decoded(value)

    def _content(self, path: bytes, row: Row) -> bytes:
        found = self._decoded(row.content or "")
        if len(found) != row.size:
            raise self._bad(f"{path!r} has another size")
        return found

    def _decoded(self, text: str) -> bytes:
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise self._bad(str(error)) from error

    def _bad(self, reason: str) -> ClocheError:
        return malformed(self._where, reason)


def _bytes(text: str) -> bytes:
    return text.encode("latin-1")
