"""Searches files for words, also what is compressed in them: a tarball, a binary package, a log."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

DEPTH = 4  # of what is packed in what is packed


def _zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-dcq"], input=data, capture_output=True, check=False).stdout


UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x1f\x8b": gzip.decompress,
    b"\xfd7zXZ\0": lzma.decompress,
    b"BZh": bz2.decompress,
}


def holding(place: Path, words: Sequence[bytes]) -> list[Path]:
    """Files below a directory that hold one of these words, which have no newline or NUL byte."""
    patterns = b"\n".join(words)
    assert len(patterns.split(b"\n")) == len(words)
    plain = subprocess.run(
        ["grep", "-rlaF", "-f", "-", place], input=patterns, capture_output=True, check=False,
        env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    found = {Path(os.fsdecode(name)) for name in plain.stdout.splitlines()}
    for above, _, names in os.walk(place):
        for path in (Path(above, name) for name in names):
            if not path.is_symlink() and path.is_file() and _unpacked_holds(path, words):
                found.add(path)
    return sorted(found)


def _unpacked_holds(path: Path, words: Sequence[bytes]) -> bool:
    with path.open("rb") as file:
        head = file.read(512)
        if not (head.startswith(tuple(UNPACK)) or _is_tar(head)):
            return False
        content = head + file.read()
    return any(word in each for each in _within(content, DEPTH) for word in words)


def _within(data: bytes, depth: int) -> Iterator[bytes]:
    """The data, and all that is packed in it."""
    yield data
    if not depth:
        return
    unpack = next((UNPACK[magic] for magic in UNPACK if data.startswith(magic)), None)
    if unpack is not None:
        try:
            inner = unpack(data)
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error):  # only begins like this
            return
        yield from _within(inner, depth - 1)
    elif _is_tar(data):
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    content = file.read() if file else b""
                    if content.startswith(tuple(UNPACK)):
                        yield from _within(content, depth - 1)
        except tarfile.TarError:
            return


def _is_tar(data: bytes) -> bool:
    return data[257:262] == b"ustar"
