"""A summary of a file's content: its digest, its digest without noise, what an ELF file needs.

Noise differs between any two builds of the same package: the build ID and the checksum of the debug
file in an ELF file, the time in a gzip header (RFC 1952), times and numbers in Portage's records.
So do the comments in settings of Portage, where another program wrote them.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, BinaryIO, cast

from cloche.archives.tarformat import Read
from cloche.audit.elf import MAGIC, Elf, read_elf, read_sections
from cloche.layers.identity import normaliser
from cloche.layers.portage_noise import PORTAGE_RULES

VDB = "var/db/pkg/"
#: Directories whose text files are kept and compared line by line.
TEXTS = ("etc/", "var/lib/portage/")
#: Those of them in which a line that begins with # is a comment.
_SETTINGS = (
    *(f"etc/portage/{name}" for name in ("make.conf", "package.", "repos.conf", "binrepos.conf")),
    "etc/locale.gen",
)
_CHUNK = 1 << 20
_IN_MEMORY = 32 << 20  # bytes of an ELF file; a larger one goes to a temporary file
_TEXT = 64 << 10  # bytes of such a file
_RECORD = 64 << 20  # bytes of a record: the CONTENTS of kernel sources has ten million
_ELF_NOISE = (".note.gnu.build-id", ".gnu_debuglink", ".gnu_debugaltlink")
_GZIP = b"\x1f\x8b\x08"
_GZIP_TIME = slice(4, 8)
_records = normaliser(PORTAGE_RULES)


@dataclass(frozen=True, slots=True)
class Content:
    """See `comparison.inventory.Item`."""

    size: int = 0
    digest: bytes = b""
    plain: bytes = b""
    noise: str = ""
    elf: Elf | None = None
    text: bytes | None = None


def content_of(name: str, read: Read) -> Content:
    """Read a file to its end; ``read`` yields its holes, too."""
    first = _filled(read)
    if name.startswith(VDB):
        return _record(name, first, read)
    if first.startswith(MAGIC):
        return _elf(first, read)
    whole, size = hashlib.sha256(first), len(first)
    plain = None
    if first.startswith(_GZIP):
        without = bytearray(first)
        without[_GZIP_TIME] = bytes(4)
        plain = hashlib.sha256(without)
    while data := read(_CHUNK):
        whole.update(data)
        size += len(data)
        if plain is not None:
            plain.update(data)
    digest = whole.digest()
    text = first if name.startswith(TEXTS) and size <= _TEXT else None
    if plain is not None:
        return Content(size, digest, plain.digest(), "gzip-time", text=text)
    if text is not None and name.startswith(_SETTINGS):
        return Content(size, digest, _uncommented(text), "comments", text=text)
    return Content(size, digest, digest, text=text)


def _uncommented(text: bytes) -> bytes:
    """The digest of the lines that are neither empty nor comments.

    Where a quoted value may go over several lines, such a line may be a part of it.
    """
    kept = [line for line in text.splitlines() if line.strip()[:1] not in (b"", b"#")]
    if any(line.count(quote) % 2 for line in kept for quote in (b'"', b"'")):
        return hashlib.sha256(text).digest()
    return hashlib.sha256(b"\n".join(kept)).digest()


def _filled(read: Read) -> bytes:
    """Read a whole chunk, or what the file has."""
    parts, left = [], _CHUNK
    while left and (data := read(left)):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def _record(name: str, first: bytes, read: Read) -> Content:
    """A record of a package: its text is kept."""
    parts, size = [first], len(first)
    while data := read(_CHUNK):
        size += len(data)
        parts += [data] if size <= _RECORD else []
    content = b"".join(parts)
    digest = hashlib.sha256(content).digest()
    function = _records(os.fsencode(name))
    if function is None:
        return Content(size, digest, digest, text=content)
    plain = hashlib.sha256(function(content) or b"").digest()
    return Content(size, digest, plain, "record", text=content)


def _elf(first: bytes, read: Read) -> Content:
    """An ELF file, which needs random access."""
    with SpooledTemporaryFile(max_size=_IN_MEMORY) as file:
        whole, size = hashlib.sha256(), 0
        data = first
        while data:
            whole.update(data)
            size += len(data)
            file.write(data)
            data = read(_CHUNK)
        binary = cast(BinaryIO, file)
        needs = read_elf(binary)
        noise = [each for each in read_sections(binary) if each.name in _ELF_NOISE]
        digest = whole.digest()
        if not noise:
            return Content(size, digest, digest, elf=needs)
        ranges = [(each.offset, each.offset + each.size) for each in noise]
        return Content(size, digest, _without(file, ranges), "build-id", needs)


def _without(file: IO[bytes], ranges: list[tuple[int, int]]) -> bytes:
    """The digest of the bytes outside of the ranges."""
    digest, at = hashlib.sha256(), 0
    for start, end in [*sorted(ranges), (1 << 62, 0)]:
        file.seek(at)
        while at < start and (data := file.read(min(_CHUNK, start - at))):
            digest.update(data)
            at += len(data)
        digest.update(b"\0")
        at = max(at, end)
    return digest.digest()
