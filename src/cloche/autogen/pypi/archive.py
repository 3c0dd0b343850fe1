"""Looks into an sdist without unpacking it, and without running anything of it.

It is untrusted: every member is counted before its content is read, and names that lead out of the
archive's own directory are refused, as Portage will unpack it later.
"""

from __future__ import annotations

import contextlib
import lzma
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cloche.archives.errors import ImportRefusedError, over_limit
from cloche.archives.tarball import members

_ENTRIES = 200_000
_BYTES = 4 << 30  # of all content
_TEXT = 4 << 20  # bytes of a file that is read
_TEXTS = 64 << 20  # characters of all of them
_METADATA = 1 << 20  # bytes that describe one member
_CHUNK = 1 << 16
_LIST = 32 << 20  # bytes of a zip archive's list of members
_END = (1 << 16) + 256  # bytes in which it ends: a comment, and the records of its size

# What zipfile raises for archives that are corrupt, encrypted, or compressed in unknown ways.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError, RuntimeError,
    ValueError,
)  # fmt: skip

# Files that say how a project is built and tested, by their names below the top directory.
_READ = re.compile(
    r"pyproject\.toml|setup\.py|setup\.cfg|PKG-INFO|pytest\.ini|tox\.ini|noxfile\.py"
    r"|(?:LICEN[CS]E|COPYING)[^/]*|(?:src/)?[^/]+\.egg-info/(?:requires\.txt|entry_points\.txt|PKG-INFO)"
)


@dataclass(frozen=True, slots=True)
class Sdist:
    """What an sdist holds: its top directory, the names below it, and a few texts."""

    top: str
    names: frozenset[str]
    texts: tuple[tuple[str, str], ...]

    def text(self, name: str) -> str | None:
        """The text of a file; None if it is not there."""
        return dict(self.texts).get(name)

    def first(self, pattern: str) -> str | None:
        """The text of the first file whose name matches a pattern."""
        return next((text for name, text in self.texts if re.fullmatch(pattern, name)), None)


def read_sdist(path: Path, texts: re.Pattern[str] = _READ) -> Sdist:
    """Look into an sdist; ``texts`` are the files that are read, below its top directory.

    Raises `ImportRefusedError`, OSError.
    """
    try:
        look = _zipped if path.name.endswith(".zip") else _tarred
        found = list(_bounded(path, look(path, texts)))
    except _UNREADABLE as error:
        what = f"corrupt or truncated archive: {error}"
        raise ImportRefusedError(path, b"", what, todo="fetch it again") from error
    tops = {name.partition("/")[0] for name, _ in found if "/" in name}
    if len(tops) != 1:
        what = f"it has {len(tops)} top directories instead of one"
        raise ImportRefusedError(path, b"", what, todo="write this ebuild by hand")
    (top,) = tops
    inside = [(n.partition("/")[2], text) for n, text in found if n.startswith(f"{top}/")]
    read = tuple((name, text) for name, text in inside if text is not None)
    return Sdist(top, frozenset(name for name, _ in inside if name), read)


def _bounded(
    path: Path, found: Iterator[tuple[str, str | None]]
) -> Iterator[tuple[str, str | None]]:
    """See that all texts together stay within a limit."""
    total = 0
    for name, text in found:
        total += len(text or "")
        if total > _TEXTS:
            raise over_limit(path, name.encode(), "texts", total, _TEXTS)
        yield name, text


def _tarred(path: Path, texts: re.Pattern[str]) -> Iterator[tuple[str, str | None]]:
    """Names of files, and the texts of those that are read."""
    total = 0
    for entries, (member, read) in enumerate(members(path, _METADATA), 1):
        total += member.size
        _within(path, member.name, entries, total)
        name = _checked(path, member.name)
        if member.type in ("symlink", "link"):
            base = name.rpartition("/")[0] if member.type == "symlink" else ""
            _checked(path, member.target, name, base)
        elif member.type in ("character", "block", "fifo"):
            raise ImportRefusedError(path, member.name, "a device in a source archive")
        if member.type == "file":
            data = b""
            is_read = _wanted(name, member.size, texts)
            if is_read:
                while block := read(_CHUNK):
                    data += block
            yield name, data.decode(errors="replace") if is_read else None


def _zipped(path: Path, texts: re.Pattern[str]) -> Iterator[tuple[str, str | None]]:
    total = 0
    with _opened(path) as archive:
        for entries, info in enumerate(archive.infolist(), 1):
            total += info.file_size
            _within(path, info.filename.encode(errors="replace"), entries, total)
            name = _checked(path, info.filename.encode(errors="replace"))
            if stat.S_ISLNK(info.external_attr >> 16):
                raise ImportRefusedError(path, name.encode(), "a symbolic link in a zip archive")
            if info.is_dir():
                continue
            text = None
            if _wanted(name, info.file_size, texts):
                with archive.open(info) as stream:  # its end is where the archive says
                    text = stream.read(_TEXT + 1).decode(errors="replace")
            yield name, text


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive. Its list of members is read whole, so the size of that is checked before.

    Raises `ImportRefusedError`, OSError, and what _UNREADABLE has.
    """
    with path.open("rb") as file:
        size = _size_of_list(file)
        if size > _LIST:
            raise over_limit(path, b"", "bytes", size, _LIST)
        try:
            with zipfile.ZipFile(file) as archive:
                yield archive
        except OSError as error:
            if error.errno is not None:
                raise
            raise zipfile.BadZipFile(str(error)) from error  # of bz2


def _size_of_list(file: BinaryIO) -> int:
    """The size of a zip archive's central directory, the largest that its end may be read as
    (APPNOTE.TXT, 4.3.14, 4.3.16); 0 if it has none, which zipfile refuses."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _END))
    tail = file.read()
    file.seek(0)
    found = [0]
    for signature, begin, width in ((b"PK\x05\x06", 12, 4), (b"PK\x06\x06", 40, 8)):
        for match in re.finditer(re.escape(signature), tail):
            at = match.start() + begin
            found.append(int.from_bytes(tail[at : at + width], "little"))
    return max(size for size in found if size <= end)


def _wanted(name: str, size: int, texts: re.Pattern[str]) -> bool:
    return size <= _TEXT and texts.fullmatch(name.partition("/")[2]) is not None


def _within(path: Path, name: bytes, entries: int, total: int) -> None:
    if entries > _ENTRIES:
        raise over_limit(path, name, "entries", entries, _ENTRIES)
    if total > _BYTES:
        raise over_limit(path, name, "bytes", total, _BYTES)


def _checked(path: Path, name: bytes, link: str = "", base: str = "") -> str:
    """A member's name without ``.``, or the target of a link; none may lead out of the archive."""
    text = name.decode(errors="replace")
    parts = base.split("/") if base else []
    for part in text.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part == "..":
            parts.append("..")
        elif part not in ("", "."):
            parts.append(part)
    if text.startswith("/") or parts[:1] == [".."] or "\0" in text:
        what = f"it leads out of the archive{f' ({link} is a link)' if link else ''}"
        raise ImportRefusedError(path, name, what, todo="do not trust its source")
    return "/".join(parts)


def wheel_metadata(path: Path) -> bytes:
    """METADATA of a wheel. Raises `ImportRefusedError`, OSError."""
    try:
        with _opened(path) as archive:
            infos = archive.infolist()
            _within(path, b"", len(infos), 0)
            for info in infos:
                if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename):
                    if info.file_size > _TEXT:
                        raise over_limit(path, b"METADATA", "bytes", info.file_size, _TEXT)
                    with archive.open(info) as stream:
                        return stream.read(_TEXT)
    except _UNREADABLE as error:
        what = f"corrupt or truncated wheel: {error}"
        raise ImportRefusedError(path, b"", what, todo="fetch it again") from error
    raise ImportRefusedError(path, b"", "a wheel without METADATA", todo="tell upstream")
