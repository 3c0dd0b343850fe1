"""Roots without overlays: a new tree of hard links, reflinks or copies.

Opening one costs time and, except for links, space for each name of the stack; using it costs
nothing. What was written is found by comparing the tree with the stack.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from cloche.layers.algebra import flatten, subtract
from cloche.layers.capture import CaptureReport
from cloche.linux import mounts
from cloche.roots.backend import Backend, Capture, Place, Shown
from cloche.roots.errors import (
    BackendUnavailableError,
    read_only_root,
    shared_inodes,
)
from cloche.store.removal import remove_tree
from cloche.store.tree import read_xattrs

_FICLONE = 0x40049409  # _IOW(0x94, 9, int), linux/fs.h
_NO_CLONE = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.EPERM)


class Copied(Backend):
    """Plain copies: mounting is not needed, and only files of other owners need uid 0."""

    name = "copy"

    @contextmanager
    def show(self, place: Place) -> Iterator[Capture]:
        """Make the tree in ``at``; without ``upper`` it is read-only if mounts are allowed."""
        with _filled(place.at):
            self.fill(place)
            with _read_only(place.at, self.must_be_read_only, place.upper is None):
                yield _Taking(place)

    must_be_read_only = False

    def fill(self, place: Place) -> None:
        """Put the stack's tree into ``at``."""
        flatten(place.lowers, place.at, link=False)


class Reflinked(Copied):
    """Copies that share their blocks with the layers until they are written to (btrfs, xfs)."""

    name = "reflink"

    def fill(self, place: Place) -> None:
        """Clone each file; ``at`` and the layers must be on one file system with reflinks."""
        try:
            flatten(place.lowers, place.at, link=False, content=clone)
        except OSError as error:
            if error.errno not in _NO_CLONE:
                raise
            reason = f"files cannot share blocks there: {os.strerror(error.errno)}"
            raise BackendUnavailableError(self.name, reason) from error


class HardLinked(Copied):
    """Hard links to the files of the layers, read-only, since the layers share these files."""

    name = "hardlink"
    writable = False
    must_be_read_only = True

    def fill(self, place: Place) -> None:
        """Link each file; what cannot be linked (another file system) is a copy."""
        if place.upper is not None:
            raise shared_inodes(self.name)
        flatten(place.lowers, place.at, link=True)


def clone(source: int, target: int) -> None:
    """Let an empty file share the blocks of another one: FICLONE, see ioctl_ficlone(2)."""
    fcntl.ioctl(target, _FICLONE, source)


class _Taking:
    def __init__(self, place: Place) -> None:
        self.place = place

    def __call__(self, destination: Path, drop: Sequence[str]) -> CaptureReport:
        if self.place.upper is None:
            raise read_only_root(destination)
        at = self.place.at
        report = subtract(at, self.place.lowers, destination, drop=drop, link=True)
        _empty(at)  # at once: the layer shares its files with the tree, which is writable
        return report


@contextmanager
def _filled(at: Path) -> Iterator[None]:
    """Empty a directory at the end, and restore its attributes."""
    before, xattrs = at.stat(), read_xattrs(os.fsencode(at))
    try:
        yield
    finally:
        _empty(at)
        for name, _ in read_xattrs(os.fsencode(at)):
            os.removexattr(at, name)
        for name, value in xattrs:
            os.setxattr(at, name, value)
        with suppress(PermissionError):  # another user's, and therefore not changed
            os.chown(at, before.st_uid, before.st_gid)
            at.chmod(before.st_mode & 0o7777)


def _empty(at: Path) -> None:
    for path in list(at.iterdir()):
        remove_tree(path)


@contextmanager
def _read_only(at: Path, must: bool, wanted: bool) -> Iterator[None]:
    """Bind a directory read-only over itself; unless it ``must``, do without if that fails."""
    if not wanted:
        yield
        return
    try:
        fd = mounts.open_tree(at)
        try:
            mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY)
            mounts.move_mount(fd, at)
        finally:
            os.close(fd)
    except OSError as error:
        if must:
            reason = f"it cannot be made read-only: {error.strerror}"
            raise BackendUnavailableError(HardLinked.name, reason) from error
        yield
        return
    shown = Shown(at)
    try:
        yield
    finally:
        shown.abandon()
