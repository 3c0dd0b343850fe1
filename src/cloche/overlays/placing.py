"""Puts a repository into its place as a whole, or leaves the old one."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.errors import unwritable
from cloche.linux.paths import exchange
from cloche.overlays.content import Files, write_files
from cloche.store import remove_tree

_AWAY = ".away-"
_ADVICE = "run it as root, or in a project that you may write to"


@contextmanager
def written(top: Path, files: Files) -> Iterator[Path]:
    """A new directory beside the repositories with these files, removed after the block.

    It is on disk as a whole. Raises ClocheError.
    """
    try:
        top.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=".new-", dir=top))
    except OSError as error:
        raise unwritable(top, error, _ADVICE) from error
    try:
        try:
            write_files(room / "tree", files)
            _to_disk(room / "tree")
        except OSError as error:
            raise unwritable(top, error, _ADVICE) from error
        yield room / "tree"
    finally:
        remove_tree(room)


def put(new: Path, repository: Path) -> None:
    """Let a new directory take the place of a repository at one moment. Raises ClocheError."""
    try:
        if not repository.exists():
            new.rename(repository)
        else:
            _exchange(new, repository)
        _to_disk(repository.parent, deep=False)
    except OSError as error:
        raise unwritable(repository, error, _ADVICE) from error


def _exchange(new: Path, repository: Path) -> None:
    try:
        exchange(new, repository)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        # This file system cannot: for a moment there is none. If we are killed then, `alone` puts
        # the old one back.
        old = repository.with_name(f"{_AWAY}{repository.name}")
        repository.rename(old)
        try:
            new.rename(repository)
        except OSError:
            old.rename(repository)
            raise
        remove_tree(old)


def take_away(repository: Path) -> None:
    """Remove a repository: it goes at one moment. Raises ClocheError."""
    try:
        room = Path(tempfile.mkdtemp(prefix=".old-", dir=repository.parent))
        repository.rename(room / "tree")
    except OSError as error:
        raise unwritable(repository, error, _ADVICE) from error
    remove_tree(room)


@contextmanager
def alone(top: Path) -> Iterator[None]:
    """Hold the directory of repositories against other processes. Raises ClocheError.

    What a killed one left beside the repositories is removed, and one that it took away put back.
    """
    try:
        top.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise unwritable(top, error, _ADVICE) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for away in top.glob(f"{_AWAY}*"):
            repository = top / away.name.removeprefix(_AWAY)
            if repository.exists():
                remove_tree(away)
            else:
                away.rename(repository)
        for left in (*top.glob(".new-*"), *top.glob(".old-*")):
            remove_tree(left)
        yield
    finally:
        os.close(descriptor)


def _to_disk(top: Path, *, deep: bool = True) -> None:
    """Write what the kernel still holds of a tree to its file system (syncfs is for all of it)."""
    for directory, _, names in os.walk(top) if deep else [(str(top), [], [])]:
        for name in (".", *names):
            path = Path(directory, name)
            if path.is_symlink():
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
