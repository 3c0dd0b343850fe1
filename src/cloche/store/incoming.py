"""Taking files that others made: their content, into new files of ours, and nothing else.

What a sandbox leaves may be a link, a FIFO, setuid, or still open in a process that writes to it.
Its owner, mode, names and attributes stay behind.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

_CHUNK = 1 << 20
_ZEROS = bytes(_CHUNK)


class Hash(Protocol):
    """What hashlib gives."""

    def update(self, data: bytes, /) -> None:
        """Take more data."""


def take_content(
    source: Path, target: Path, hashes: Iterable[Hash] = (), *, mode: int = 0o444
) -> int:
    """Copy the content of ``source`` to the new file ``target``, on disk; give its size in bytes.

    Long runs of zeros become holes: most of a disk image is empty.
    ``hashes`` are fed with what is written, so that they speak of the copy. Raises OSError, with
    EINVAL where the source is not a regular file, ELOOP where it is a link.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(source, flags), "rb", buffering=0) as given:
        if not stat.S_ISREG(os.fstat(given.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(source))
        own = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(own, "wb", buffering=0) as taken:
            while data := given.read(_CHUNK):
                for each in hashes:
                    each.update(data)
                if data == _ZEROS:
                    taken.seek(len(data), os.SEEK_CUR)
                    continue
                rest = memoryview(data)
                while rest:
                    rest = rest[taken.write(rest) :]
            taken.truncate()
            os.fchmod(own, mode)
            os.fsync(own)
            return os.fstat(own).st_size
