"""Removing a directory tree of any content, without leaving it (see `store.tree`)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from cloche.store.tree import open_directory

_DEEP = 64  # levels; autoconf's tests leave trees thousands of levels deep


def remove_tree(path: Path) -> None:
    """Remove a file or a whole tree, of any depth and with any modes of its directories.

    Nothing happens when ``path`` is not there. Raises OSError, for instance EBUSY for a mount
    point.
    """
    with ExitStack() as stack:
        try:
            parent = open_directory(path.parent)
        except FileNotFoundError:
            return
        stack.callback(os.close, parent)
        remove_at(parent, os.fsencode(path.name))


def remove_at(parent: int, name: bytes) -> None:
    """As `remove_tree`, for a name in the open directory ``parent``."""
    try:
        fd = _open_anyway(parent, name)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    try:
        # Subtrees that lie too deep are hung into the root of the removal, so neither the stack nor
        # the table of descriptors grows with the depth; they are found there by the next round.
        while any(_names(fd)):
            _empty(fd, fd, 0)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)


def _empty(top: int, fd: int, depth: int) -> None:
    for name in _names(fd):
        try:
            child = _open_anyway(fd, name)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            os.unlink(name, dir_fd=fd)
            continue
        try:
            if depth < _DEEP:
                _empty(top, child, depth + 1)
        finally:
            os.close(child)
        if depth < _DEEP:
            os.rmdir(name, dir_fd=fd)
        else:
            os.rename(name, os.urandom(16).hex(), src_dir_fd=fd, dst_dir_fd=top)


def _names(fd: int) -> Iterator[bytes]:
    return (os.fsencode(name) for name in os.listdir(fd))


def _open_anyway(parent: int, name: bytes) -> int:
    """Open a directory for removal. overlayfs leaves mode 000 behind, packages leave mode 555.

    Raises NotADirectoryError for all else, symbolic links included.
    """
    info = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if not stat.S_ISDIR(info.st_mode):
        raise NotADirectoryError(name)
    if info.st_mode & 0o700 != 0o700:
        with suppress(PermissionError):
            os.chmod(name, 0o700, dir_fd=parent)
    return open_directory(name, parent)
