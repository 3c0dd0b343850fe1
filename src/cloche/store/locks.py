"""Locks between processes, and between the threads of one: flock(2) on files that stay.

Each hold opens the file anew, and flock belongs to the open file, so two threads exclude each other
just as two processes do. A lock ends with its process, however that ends. It is given up with
LOCK_UN and not only by closing: a child forked in between has a copy of the descriptor, and
would keep the lock for as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def open_lock(path: Path) -> int:
    """Open a lock's file, made where it is missing; the caller closes it."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)


def try_hold(fd: int, *, shared: bool = False) -> bool:
    """Take the lock if it is free; says whether it was."""
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def hold(fd: int, *, shared: bool = False) -> None:
    """Take the lock, however long that needs."""
    fcntl.flock(fd, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)


def release(fd: int) -> None:
    """Give up the lock and close the descriptor."""
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


@contextmanager
def held_directory(path: Path) -> Iterator[bool]:
    """Hold a lock on a directory itself for a block, if it is free: the value says so."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with _held_if_free(fd) as free:
        yield free


@contextmanager
def held_file(path: Path) -> Iterator[bool]:
    """Hold the lock for a block, if it is free: the value says so."""
    with _held_if_free(open_lock(path)) as free:
        yield free


@contextmanager
def _held_if_free(fd: int) -> Iterator[bool]:
    if not try_hold(fd):
        os.close(fd)
        yield False
        return
    try:
        yield True
    finally:
        release(fd)


@contextmanager
def held(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock for a block; ``waiting`` is called once when another has it."""
    fd = open_lock(path)
    try:
        if not try_hold(fd):
            if waiting is not None:
                waiting()
            hold(fd)
        yield
    finally:
        release(fd)
