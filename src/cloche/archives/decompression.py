"""Reads a compressed file as a stream with bounded memory.

The kind of compression is detected by the first bytes, not by the file's name.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from cloche.archives.errors import ImportRefusedError, malformed
from cloche.errors import Exit

_XZ_MEMORY = 512 << 20  # bytes; `xz -9` needs 65 MiB to unpack
_CHUNK = 1 << 16  # bytes


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        ...


class _Xz:
    """xz with a limit on memory, which `lzma.LZMAFile` lacks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decompressor: lzma.LZMADecompressor | None = None

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decompressor is None or self._decompressor.eof:
                rest = self._decompressor.unused_data if self._decompressor else b""
                rest = rest or self._file.read(_CHUNK)
                if not rest.strip(b"\0"):  # the end, or padding between streams
                    return b""
                self._decompressor = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
            else:
                rest = self._file.read(_CHUNK) if self._decompressor.needs_input else b""
                if not rest and self._decompressor.needs_input:
                    raise EOFError("compressed file ended early")
            if data := self._decompressor.decompress(rest, size):
                return data


class _Checked:
    """A stream whose errors of decompression are `ImportRefusedError`, wherever it is read."""

    def __init__(self, stream: Readable, path: Path, file: BinaryIO) -> None:
        self._stream, self._path, self._file = stream, path, file

    def read(self, size: int, /) -> bytes:
        with _refusing(self._path, self._file):
            return self._stream.read(size)


@contextmanager
def _refusing(path: Path, file: BinaryIO) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise malformed(path, b"", str(error), file.tell()) from error
    except OSError as error:
        if error.errno is not None:  # errors of bz2 have none
            raise
        raise malformed(path, b"", str(error), file.tell()) from error


@contextmanager
def unpacked(path: Path) -> Iterator[Readable]:
    """Open a file, plain or compressed with gzip, bzip2, xz or zstd, for a block.

    Errors of decompression become `ImportRefusedError`, which is also raised if a zstd file cannot
    be read because the program is missing. Raises OSError.
    """
    with path.open("rb") as file, _refusing(path, file):
        magic = file.read(6)
        file.seek(0)
        with _stream(path, file, magic) as stream:
            yield _Checked(stream, path, file)


@contextmanager
def _stream(path: Path, file: BinaryIO, magic: bytes) -> Iterator[Readable]:
    if magic.startswith(b"\x1f\x8b"):
        yield gzip.GzipFile(fileobj=file)
    elif magic.startswith(b"BZh"):
        yield bz2.BZ2File(file)
    elif magic == b"\xfd7zXZ\0":
        yield _Xz(file)
    elif magic.startswith(b"\x28\xb5\x2f\xfd"):
        yield from _zstd(path, file)
    else:
        yield file


def _zstd(path: Path, file: BinaryIO) -> Iterator[Readable]:
    program = shutil.which("zstd")
    if program is None:
        what = "the program `zstd`, which unpacks this, is not installed"
        raise ImportRefusedError(path, b"", what, todo="install zstd", status=Exit.HOST)
    os.lseek(file.fileno(), 0, os.SEEK_SET)  # seek() alone moves within Python's buffer
    with subprocess.Popen(
        [program, "--decompress", "--stdout", "--quiet"],
        stdin=file,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        stdout = process.stdout
        try:
            if stdout is not None:
                yield stdout
            if stdout is not None and not stdout.read(1) and process.wait():
                raise EOFError("zstd reports corrupt data")
        finally:
            process.kill()  # what follows the end is not needed
