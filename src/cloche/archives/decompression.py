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
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
_LZMA = b"\x5d\0\0"  # lzma has no magic number; its encoders all write this
#: Programs of the host for the formats that Python cannot read, by their magic numbers.
_BY_PROGRAM = {b"\x28\xb5\x2f\xfd": "zstd", b"LZIP": "lzip", b"\x89LZO\0\r": "lzop"}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        ...


class _Xz:
    """xz, or lzma, with a limit on memory, which `lzma.LZMAFile` lacks."""

    def __init__(self, file: BinaryIO, format: int = lzma.FORMAT_XZ) -> None:
        self._file, self._format = file, format
        self._decompressor: lzma.LZMADecompressor | None = None

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decompressor is None or self._decompressor.eof:
                rest = self._decompressor.unused_data if self._decompressor else b""
                rest = rest or self._file.read(_CHUNK)
                if not rest.strip(b"\0"):  # the end, or padding between streams
                    return b""
                self._decompressor = lzma.LZMADecompressor(self._format, memlimit=_XZ_MEMORY)
            else:
                rest = self._file.read(_CHUNK) if self._decompressor.needs_input else b""
                if not rest and self._decompressor.needs_input:
                    raise EOFError("compressed file ended early")
            if data := self._decompressor.decompress(rest, size):
                return data


class _Checked:
    """A stream whose decompression errors are `ImportRefusedError`, outside of its block, too."""

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


def is_compressed(head: bytes) -> bool:
    """Whether a file with these first bytes is compressed, in one of the ways of `unpacked`."""
    return head.startswith((_GZIP, _BZIP2, _XZ, _LZMA, *_BY_PROGRAM))


@contextmanager
def unpacked(path: Path) -> Iterator[Readable]:
    """Open a file, plain or compressed, for a block.

    It may be compressed with gzip, bzip2, xz, lzma, zstd, lzip or lzop. Decompression errors become
    `ImportRefusedError`; so does a missing program for one of the last three. Raises OSError.
    """
    with path.open("rb") as file, _refusing(path, file):
        magic = file.read(6)
        file.seek(0)
        with _stream(path, file, magic) as stream:
            yield _Checked(stream, path, file)


@contextmanager
def _stream(path: Path, file: BinaryIO, magic: bytes) -> Iterator[Readable]:
    if magic.startswith(_GZIP):
        yield gzip.GzipFile(fileobj=file)
    elif magic.startswith(_BZIP2):
        yield bz2.BZ2File(file)
    elif magic.startswith(_XZ):
        yield _Xz(file)
    elif magic.startswith(_LZMA):
        yield _Xz(file, lzma.FORMAT_ALONE)
    elif program := next((p for m, p in _BY_PROGRAM.items() if magic.startswith(m)), ""):
        yield from _piped(program, path, file)
    else:
        yield file


def _piped(name: str, path: Path, file: BinaryIO) -> Iterator[Readable]:
    program = shutil.which(name)
    if program is None:
        what = f"the program `{name}`, which unpacks this, is not installed"
        raise ImportRefusedError(path, b"", what, todo=f"install {name}", status=Exit.HOST)
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
                raise EOFError(f"{name} reports corrupt data")
        finally:
            process.kill()  # what follows the end is not needed
