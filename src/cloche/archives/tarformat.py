"""Reading tar: ustar, GNU's extensions, and pax (POSIX.1-2024, pax; tar(5) of libarchive; the
GNU tar manual, "Basic Tar Format" and "Storing Sparse Files").

All input is untrusted: checksums, numbers and lengths are checked, and the metadata of a member
have a limit, which bounds memory. `tarfile` is not used, as it reads headers of any length at once
and recurses into headers about headers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cloche.archives.decompression import Readable
from cloche.archives.errors import ImportRefusedError, malformed, over_limit
from cloche.layers.xattrtext import ACL_ACCESS, ACL_DEFAULT, acl_from_text

BLOCK = 512  # bytes
_CHUNK = 1 << 20
_GLOBALS = 1000  # records; every member goes through all of them
_TYPES = {
    b"0": "file", b"\0": "file", b"7": "file", b"S": "file", b"1": "link", b"2": "symlink",
    b"3": "character", b"4": "block", b"5": "directory", b"6": "fifo",
}  # fmt: skip
_WITH_DATA = (b"0", b"\0", b"7", b"S")
_ACLS = {b"SCHILY.acl.access": ACL_ACCESS, b"SCHILY.acl.default": ACL_DEFAULT}

Extents = tuple[tuple[int, int], ...]
"""Where a sparse file has data: offsets and lengths in bytes, in order."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an archive, as written there.

    ``type`` is "file", "directory", "symlink", "link" (a hard link), "character", "block" or
    "fifo". ``size`` is that of the file, holes included; ``extents`` cover what is not a hole.
    ``target`` is that of either kind of link.
    """

    name: bytes
    type: str
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    size: int = 0
    target: bytes = b""
    device: tuple[int, int] = (0, 0)
    extents: Extents = ()
    xattrs: tuple[tuple[bytes, bytes], ...] = ()


Read = Callable[[int], bytes]
"""Reads the next bytes of a member's content, at most that many, none at the end."""


def nothing(_: int) -> bytes:
    """Read a member without content."""
    return b""


class TarReader:
    """The members of a stream, one after another; the content of each is read before the next."""

    def __init__(self, stream: Readable, source: Path, metadata: int) -> None:
        """``metadata``: bytes that may describe one member, beside its header block."""
        self._stream = stream
        self._source = source
        self._metadata = metadata
        self._at = 0
        self._left = 0  # bytes of the current member's content
        self._pad = 0
        self._spent = 0  # bytes of metadata for the member that is being read
        self._name = b""
        self._global: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Member]:
        while (member := self._next()) is not None:
            yield member
            self._skip(self._left + self._pad)
            self._left = self._pad = 0

    def read(self, size: int) -> bytes:
        """Read ``size`` bytes of the current member's content, fewer at its end."""
        data = self._exactly(min(size, self._left, _CHUNK))
        self._left -= len(data)
        return data

    def _next(self) -> Member | None:
        pax: list[tuple[bytes, bytes]] = []
        name = target = None
        self._spent, self._name = 0, b""
        while True:
            header = self._exactly(BLOCK)
            if not header.strip(b"\0"):
                if pax or name is not None or target is not None:
                    raise self._bad("it ends after an extension header without a member")
                return None
            self._check(header)
            self._pay(BLOCK)
            flag = header[156:157]
            size = self._number(header[124:136])
            if flag == b"x":
                pax += self._records(self._text(size))
            elif flag == b"g":
                self._global |= dict(self._records(self._text(size)))
                self._pay(sum(map(len, self._global.values())))
                if len(self._global) > _GLOBALS:
                    raise self._bad("it has too many global pax records")
            elif flag == b"L":
                name = self._text(size).rstrip(b"\0")
            elif flag == b"K":
                target = self._text(size).rstrip(b"\0")
            elif flag == b"V":  # a label of the whole volume
                self._text(size)
            else:
                return self._member(header, flag, size, name, target, pax)

    def _member(
        self,
        header: bytes,
        flag: bytes,
        size: int,
        name: bytes | None,
        target: bytes | None,
        records: list[tuple[bytes, bytes]],
    ) -> Member:
        """Combine the header with the extension headers before it."""
        # An empty value cancels that of a global header.
        pax = {
            key: value
            for key, value in (self._global | dict(records)).items()
            if value or key.startswith((b"SCHILY.xattr.", b"GNU.sparse."))
        }
        if name is None:
            name = _field(header[:100])
            if header[257:263] == b"ustar\0" and (prefix := _field(header[345:500])):
                name = prefix + b"/" + name
        self._name = pax.get(b"GNU.sparse.name", pax.get(b"path", name))
        if flag not in _TYPES:
            what = f"a member has the unsupported type {flag!r}"
            raise ImportRefusedError(self._source, self._name, what)
        size = self._decimal(pax, b"size", size)
        stored = size if flag in _WITH_DATA else 0
        self._left, self._pad = stored, -stored % BLOCK
        kind = _TYPES[flag]
        if kind == "file" and self._name.endswith(b"/") and flag != b"7":
            kind = "directory"  # as written before POSIX
            if stored:
                raise self._bad("a directory has content")
        whole = size
        extents: Extents = ((0, size),) if size else ()
        if flag == b"S":
            whole, extents = self._old_sparse(header)
        elif kind == "file" and any(key.startswith(b"GNU.sparse.") for key in pax):
            whole, extents = self._pax_sparse(pax, records)
        if kind == "file":
            self._check_extents(extents, whole)
        return Member(
            name=self._name,
            type=kind,
            mode=self._number(header[100:108]) & 0o7777,
            uid=self._decimal(pax, b"uid", self._number(header[108:116])),
            gid=self._decimal(pax, b"gid", self._number(header[116:124])),
            mtime_ns=self._time(pax.get(b"mtime"), self._number(header[136:148], signed=True)),
            size=whole if kind == "file" else 0,
            target=pax.get(b"linkpath", _field(header[157:257]) if target is None else target),
            device=self._device(header) if kind in ("character", "block") else (0, 0),
            extents=extents if kind == "file" else (),
            xattrs=tuple(sorted(self._xattrs(pax))),
        )

    def _device(self, header: bytes) -> tuple[int, int]:
        major, minor = self._number(header[329:337]), self._number(header[337:345])
        if major >= 1 << 12 or minor >= 1 << 20:  # what Linux has
            raise self._bad("a device number is out of range")
        return major, minor

    def _xattrs(self, pax: dict[bytes, bytes]) -> Iterator[tuple[bytes, bytes]]:
        for key, value in pax.items():
            if b"\0" in key:
                raise self._bad("a key has a null byte")
            if key.startswith(b"SCHILY.xattr."):
                yield key.removeprefix(b"SCHILY.xattr."), value
            elif key in _ACLS and value:
                try:
                    yield _ACLS[key], acl_from_text(value.decode())
                except ValueError:
                    raise self._bad("an ACL is malformed, or has names instead of ids") from None

    # Sparse files

    def _old_sparse(self, header: bytes) -> tuple[int, Extents]:
        """GNU's own format: four extents in the header, twenty-one in each block after it."""
        extents = list(self._pairs(header[386:482]))
        more = header[482] != 0
        while more:
            block = self._spend(BLOCK)
            extents += self._pairs(block[:504])
            more = block[504] != 0
        return self._number(header[483:495]), tuple(extents)

    def _pairs(self, data: bytes) -> Iterator[tuple[int, int]]:
        for at in range(0, len(data), 24):
            if data[at : at + 24].strip(b"\0"):
                yield self._number(data[at : at + 12]), self._number(data[at + 12 : at + 24])

    def _pax_sparse(
        self, pax: dict[bytes, bytes], records: list[tuple[bytes, bytes]]
    ) -> tuple[int, Extents]:
        """GNU's formats 0.0 (repeated records), 0.1 (one list) and 1.0."""
        size = self._decimal(pax, b"GNU.sparse.size", self._left)
        if b"GNU.sparse.major" in pax:
            if (pax[b"GNU.sparse.major"], pax.get(b"GNU.sparse.minor")) != (b"1", b"0"):
                raise self._bad("a sparse file has an unknown format")
            return self._decimal(pax, b"GNU.sparse.realsize", size), self._map_of_content()
        if b"GNU.sparse.map" in pax:
            numbers = pax[b"GNU.sparse.map"].split(b",") if pax[b"GNU.sparse.map"] else []
        else:
            keys = (b"GNU.sparse.offset", b"GNU.sparse.numbytes")
            numbers = [value for key, value in records if key in keys]
        return size, self._paired([self._plain(number) for number in numbers])

    def _map_of_content(self) -> Extents:
        """Decimal lines before the content, in whole blocks: their number, then the extents."""
        lines: list[bytes] = []
        text = b""
        while not lines or len(lines) - 1 < 2 * self._plain(lines[0]):
            if self._left < BLOCK:
                raise self._bad("the map of a sparse file is cut off")
            self._left -= BLOCK
            *full, text = (text + self._spend(BLOCK)).split(b"\n")
            lines += full
        return self._paired([self._plain(line) for line in lines[1 : 1 + 2 * int(lines[0])]])

    def _paired(self, numbers: list[int]) -> Extents:
        if len(numbers) % 2:
            raise self._bad("the map of a sparse file is cut off")
        return tuple(zip(numbers[::2], numbers[1::2], strict=True))

    def _check_extents(self, extents: Extents, size: int) -> None:
        """Raise unless they follow each other within the file and make up what is stored."""
        end = 0
        for offset, length in extents:
            if offset < end or offset + length > size:
                raise self._bad("the map of a sparse file is malformed")
            end = offset + length
        if sum(length for _, length in extents) != self._left:
            raise self._bad("the map of a sparse file does not fit its content")

    # Pieces

    def _records(self, text: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Records of pax: ``LENGTH KEY=VALUE`` and a newline; the length is that of all of it."""
        at = 0
        while at < len(text):
            space = text.find(b" ", at, at + 20)
            end = at + (self._plain(text[at:space]) if space > at else 0)
            key, equals, value = text[space + 1 : end - 1].partition(b"=")
            # Each record is at least as long as its length field, so that the loop ends.
            if not at < space < end <= len(text) or text[end - 1 : end] != b"\n" or not equals:
                raise self._bad("a pax header is malformed")
            yield key, value
            at = end

    def _text(self, size: int) -> bytes:
        data = self._spend(size)
        self._exactly(-size % BLOCK)
        return data

    def _spend(self, size: int) -> bytes:
        """Read metadata of a member, within the limit."""
        self._pay(size)
        return self._exactly(size)

    def _pay(self, size: int) -> None:
        self._spent += size
        if self._spent > self._metadata:
            raise over_limit(self._source, self._name, "metadata", self._spent, self._metadata)

    def _check(self, header: bytes) -> None:
        """Compare the checksum, which some old programs compute over signed bytes."""
        blanked = header[:148] + b" " * 8 + header[156:]
        told = header[148:156].split(b"\0", 1)[0].strip(b" ").lstrip(b"0")
        if told == b"%o" % sum(blanked):
            return
        if told == b"%o" % sum(byte - 256 if byte > 127 else byte for byte in blanked):
            return
        if self._at == BLOCK:
            raise self._bad("not a tar archive, plain or compressed with gzip, bzip2, xz or zstd")
        raise self._bad("a header's checksum is wrong")

    def _number(self, field: bytes, *, signed: bool = False) -> int:
        """Octal digits, or, with the highest bit set, a number of base 256 (GNU)."""
        if field[0] & 0x80:
            value = (
                int.from_bytes(field, "big", signed=True)
                if field[0] == 0xFF
                else (int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1))
            )
            if value < 0 and not signed:
                raise self._bad("a number is negative")
            return value
        digits = field.split(b"\0", 1)[0].strip(b" ")
        if digits.strip(b"01234567"):
            raise self._bad("invalid number")
        return int(digits or b"0", 8)

    def _decimal(self, pax: dict[bytes, bytes], key: bytes, otherwise: int) -> int:
        return self._plain(pax[key]) if key in pax else otherwise

    def _plain(self, digits: bytes) -> int:
        if not digits.isdigit() or len(digits) > 20:
            raise self._bad("invalid number")
        return int(digits)

    def _time(self, text: bytes | None, otherwise: int) -> int:
        """Nanoseconds; pax has seconds with a fraction, which may be negative."""
        if text is None:
            nanoseconds = otherwise * 10**9
        else:
            whole, _, fraction = text.removeprefix(b"-").partition(b".")
            fine = self._plain((fraction[:9] or b"0").ljust(9, b"0"))
            nanoseconds = self._plain(whole) * 10**9 + fine
            nanoseconds = -nanoseconds if text.startswith(b"-") else nanoseconds
        # What every file system can hold: until the year 2446 (ext4).
        return max(-(2**31) * 10**9, min(nanoseconds, 15_032_385_535 * 10**9))

    def _exactly(self, size: int) -> bytes:
        parts = []
        while size:
            data = self._stream.read(min(size, _CHUNK))
            if not data:
                raise self._bad("it is cut off")
            self._at += len(data)
            size -= len(data)
            parts.append(data)
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        while size:
            size -= len(self._exactly(min(size, _CHUNK)))

    def _bad(self, why: str) -> ImportRefusedError:
        return malformed(self._source, self._name, why, self._at)


def _field(data: bytes) -> bytes:
    return data.split(b"\0", 1)[0]
