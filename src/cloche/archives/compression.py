"""Writes a compressed file as a stream, the counterpart of `cloche.archives.decompression`."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from cloche.errors import NO_ROOM, ClocheError, Exit

#: Programs of the host for the formats that Python cannot write, with their options.
PROGRAMS = {"zstd": ("-T0", "-3"), "lzip": (), "lzop": ()}


class Writable(Protocol):
    """A writable stream of bytes."""

    def write(self, data: bytes, /) -> int:
        """Write all the bytes."""
        ...


def check_program(kind: str) -> None:
    """See that a file can be compressed in this way (a word of `[output] compression`).

    Raises ClocheError.
    """
    if kind in PROGRAMS and shutil.which(kind) is None:
        what = f"the program `{kind}`, which compresses the tarball, is not installed"
        raise ClocheError(what, todo=f"install {kind}", status=Exit.HOST)


@contextmanager
def packed(file: BinaryIO, kind: str) -> Iterator[Writable]:
    """A stream whose bytes get into ``file`` compressed, for a block.

    Raises ClocheError, OSError.
    """
    if kind in PROGRAMS:
        yield from _piped(kind, file)
    elif kind == "gzip":
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
            yield stream
    elif kind == "bzip2":
        with bz2.BZ2File(file, "wb") as stream:
            yield stream
    elif kind in ("xz", "lzma"):
        form = lzma.FORMAT_XZ if kind == "xz" else lzma.FORMAT_ALONE
        with lzma.LZMAFile(file, "wb", format=form) as stream:
            yield stream
    else:
        yield file


def _piped(kind: str, file: BinaryIO) -> Iterator[Writable]:
    check_program(kind)
    command = (kind, *PROGRAMS[kind], "--stdout", "--quiet", "-")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file) as process:
        stdin = process.stdin
        if stdin is None:  # it was asked for
            raise AssertionError
        try:
            yield stdin
            stdin.close()
            broken = False
        except BrokenPipeError:
            broken = True
        except BaseException:
            process.kill()
            raise
        if process.wait() or broken:
            what = f"{kind}, which compresses the tarball, ended with status {process.returncode}"
            raise ClocheError(what, todo=NO_ROOM, status=Exit.HOST)
