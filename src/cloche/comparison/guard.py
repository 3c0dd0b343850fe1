"""Limits for the libraries that read untrusted images.

The libraries are plain Python, so a bad image cannot corrupt memory. It can make them raise any
exception, loop, or exhaust memory. Each of these becomes one `ClocheError` here.
"""

from __future__ import annotations

import io
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TypeVar

from cloche.archives.tarformat import Read
from cloche.errors import ClocheError

_MEMORY = 6 << 30  # bytes of address space: two stages of a million names need far less
_AGAIN = 32  # how many times its size may be read from an image
_LEAST = 1 << 30  # bytes that may be read from the smallest image
T = TypeVar("T")


def unreadable(source: object, why: str) -> ClocheError:
    """An image that is corrupt, truncated or of an unknown form."""
    todo = "fetch or build it again, and compare its digest"
    return ClocheError(f"corrupt or truncated image: {why}", where=source, todo=todo)


@contextmanager
def guarded(source: object) -> Iterator[None]:
    """Turn what a library raises for a bad image into one error."""
    try:
        yield
    except (ClocheError, GeneratorExit):
        raise
    except MemoryError as error:
        raise unreadable(source, "reading it takes too much memory") from error
    except RecursionError as error:
        raise unreadable(source, "its structure contains a loop") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = " ".join(str(error).split())[:200]
        raise unreadable(source, f"{type(error).__name__}: {text}") from error


def each(source: object, values: Iterator[T]) -> Iterator[T]:
    """The values of an iterator that reads an image; the code that uses them is not guarded."""
    while True:
        with guarded(source):
            try:
                value = next(values)
            except StopIteration:
                return
        yield value


def reading(source: object, read: Read) -> Read:
    """A function that reads an image."""

    def guarded_read(size: int) -> bytes:
        with guarded(source):
            return read(size)

    return guarded_read


@contextmanager
def limited_memory(size: int = _MEMORY) -> Iterator[None]:
    """Limit the address space of this process to ``size`` bytes within the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    unlimited = resource.RLIM_INFINITY
    lower = [limit for limit in (size, soft, hard) if limit != unlimited]
    resource.setrlimit(resource.RLIMIT_AS, (min(lower), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Metered(io.RawIOBase):
    """An image file with a limit on the bytes read in total, so that a loop ends."""

    def __init__(self, file: IO[bytes], source: object) -> None:
        self._file, self._source = file, source
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        self._left = max(_LEAST, end * _AGAIN)

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """See io.IOBase. Raises `ClocheError` for an offset that is not possible in a file."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError) as error:
            raise unreadable(self._source, f"it refers to byte {offset}") from error

    def tell(self) -> int:
        """See io.IOBase."""
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        """See io.RawIOBase. Raises `ClocheError` when the limit is reached."""
        data = self._file.read(size)
        self._left -= len(data) + 64  # each call counts: a loop may read no bytes at all
        if self._left < 0:
            raise unreadable(self._source, "the same parts are read again and again")
        return data

    def readinto(self, buffer: object, /) -> int:
        """See io.RawIOBase."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
