"""Files of the state: written by renaming, so that a reader or a kill never sees a part of one."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_PART = ".part-"


def write(path: Path, data: bytes) -> None:
    """Write a whole file, also one that others write now. Raises OSError."""
    part = path.with_name(f"{_PART}{secrets.token_hex(8)}-{path.name}")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _keep(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def place(source: Path, target: Path, top: Path) -> None:
    """Give a file its place below ``top``, where all may read it who may enter ``top``.

    A web server does so, as another user. It is on the disk when this returns. Raises OSError.
    """
    missing = [each for each in target.parents if top in each.parents and not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        each.chmod(each.stat().st_mode | 0o055)
    mode = source.stat().st_mode
    if mode & 0o044 != 0o044:
        source.chmod(mode | 0o044)
    _keep(source)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        part = target.with_name(f"{_PART}{os.getpid()}-{target.name}")
        shutil.copy2(source, part)
        _keep(part)
        part.replace(target)
        source.unlink()
    for each in (target.parent, *(path.parent for path in missing)):
        _keep(each)


def _keep(path: Path) -> None:
    """See that a file, or the names in a directory, are on the disk: a power failure may come."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def locked(lock: Path) -> Iterator[bool]:
    """Hold a lock for a block, unless another process does; whether it is held."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


def size(path: Path) -> int | None:
    """The size of a file; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def remove_others(root: Path, kept: Iterable[str]) -> list[str]:
    """Remove the files below a directory that are not named; return their paths below it."""
    wanted, removed = set(kept), []
    for top, _, names in os.walk(root, topdown=False):
        for name in names:
            path = Path(top, name)
            below = str(path.relative_to(root))
            if below not in wanted:
                path.unlink(missing_ok=True)
                removed.append(below)
        if Path(top) != root:
            with contextlib.suppress(OSError):  # not empty
                Path(top).rmdir()
    return sorted(removed)
