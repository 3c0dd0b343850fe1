"""Reading images that nobody vouches for, with libraries that others wrote.

The libraries are plain Python, so that a bad image cannot make them overwrite memory. It can make
them raise anything, loop, or ask for more memory than there is; each ends as one error here.
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

_MEMORY = 6 << 30  # bytes of address space: far more than two stages of a million names
_AGAIN = 32  # how often the whole of an image may be read
_LEAST = 1 << 30  # bytes that may be read of the smallest image
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
        raise unreadable(source, "it needs more memory than any honest one") from error
    except RecursionError as error:
        raise unreadable(source, "it leads in a circle") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        text = " ".join(str(error).split())[:200]
        raise unreadable(source, f"{type(error).__name__}: {text}") from error


def each(source: object, values: Iterator[T]) -> Iterator[T]:
    """The values of an iterator that reads an image; what its user does is not guarded."""
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
    """Let this process have at most ``size`` bytes of address space, for a block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    unlimited = resource.RLIM_INFINITY
    lower = [limit for limit in (size, soft, hard) if limit != unlimited]
    resource.setrlimit(resource.RLIMIT_AS, (min(lower), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


class Metered(io.RawIOBase):
    """An image file of which only so much may be read, or parts of it again and again."""

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
        """See io.IOBase. Raises `ClocheError` for a place that no file has."""
        try:
            return self._file.seek(offset, whence)
        except (OSError, ValueError, OverflowError) as error:
            raise unreadable(self._source, f"it leads to byte {offset}") from error

    def tell(self) -> int:
        """See io.IOBase."""
        return self._file.tell()

    def read(self, size: int = -1, /) -> bytes:
        """See io.RawIOBase. Raises `ClocheError` when it was too much."""
        data = self._file.read(size)
        self._left -= len(data) + 64  # nothing is free: a loop may read nothing
        if self._left < 0:
            raise unreadable(self._source, "parts of it are read again and again")
        return data

    def readinto(self, buffer: object, /) -> int:
        """See io.RawIOBase."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)
