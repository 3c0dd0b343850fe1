"""Copies names of a merged view to another tree, as hard links or exact copies.

A copy has the owner, mode, extended attributes, times and holes of its source.
"""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH101, PTH102, PTH115, PTH211

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from cloche.layers.errors import refuse_full
from cloche.layers.merge import Node
from cloche.linux.paths import make_plain
from cloche.store.tree import OPAQUE, read_xattrs

_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM)
_NO_RANGE = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)
_CHUNK = 1 << 20  # bytes

Content = Callable[[int, int], None]
"""Copies the content of one open file into another, empty one."""


class Farm:
    """Makes links or copies in one new tree; hard links stay hard links."""

    def __init__(self, goal: Path, *, link: bool, content: Content | None = None) -> None:
        """``goal`` is missing or empty; with ``link`` files become hard links where possible.

        ``content`` copies files' content instead of `copy_content`. Raises `LayerError`.
        """
        refuse_full(goal)
        goal.mkdir(exist_ok=True)
        make_plain(goal)
        self.goal = os.fsencode(goal)
        self.link = link
        self.content = content or copy_content
        self._copies: dict[tuple[int, int], bytes] = {}
        self._directories: list[Node] = []
        self._opaque: list[bytes] = []

    def add(self, node: Node) -> None:
        """Put one name into its place, in an existing directory."""
        place = self.place(node.path)
        if node.is_directory:
            if node.path:
                os.mkdir(place, 0o700)
            self._directories.append(node)
        elif not (self.link and _linked(node, place)):
            self._copy(node, place)

    def hide(self, path: bytes) -> None:
        """Put a whiteout there."""
        os.mknod(self.place(path), stat.S_IFCHR, 0)

    def opaque(self, path: bytes) -> None:
        """Make the directory there opaque."""
        self._opaque.append(path)

    def finish(self) -> None:
        """Set the attributes of directories last: their times change with each name they get."""
        for node in reversed(self._directories):
            give_attributes(node, self.place(node.path))
        for path in self._opaque:
            os.setxattr(self.place(path), OPAQUE, b"y", follow_symlinks=False)

    def place(self, path: bytes) -> bytes:
        """Where a name of the view lies in the new tree."""
        return self.goal + b"/" + path if path else self.goal

    def _copy(self, node: Node, place: bytes) -> None:
        inode = (node.info.st_dev, node.info.st_ino)
        if node.info.st_nlink > 1 and inode in self._copies:
            os.link(self._copies[inode], place, follow_symlinks=False)
            return
        copy(node, place, self.content)
        self._copies[inode] = place


def _linked(node: Node, place: bytes) -> bool:
    try:
        os.link(node.origin, place, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def copy(node: Node, place: bytes, content: Content) -> None:
    """Copy a name that is not a directory. Raises OSError."""
    kind = stat.S_IFMT(node.info.st_mode)
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(node.origin), place)
    elif kind == stat.S_IFREG:
        source = os.open(node.origin, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            target = os.open(place, flags, 0o600)
            try:
                content(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)
    else:
        os.mknod(place, node.info.st_mode, node.info.st_rdev)
    give_attributes(node, place)


def extents(fd: int) -> Iterator[tuple[int, int]]:
    """Where an open file has data, as far as its file system says: offsets and lengths in bytes."""
    size, at = os.fstat(fd).st_size, 0
    while at < size:
        try:
            at = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # only a hole up to the end
                raise
            return
        end = min(size, os.lseek(fd, at, os.SEEK_HOLE))
        yield at, end - at
        at = end


def copy_content(source: int, target: int) -> None:
    """Copy an open file into an empty one; holes stay holes, and blocks are shared if possible."""
    os.truncate(target, os.fstat(source).st_size)
    for offset, length in extents(source):
        _copy_range(source, target, offset, offset + length)


def _copy_range(source: int, target: int, at: int, end: int) -> None:
    while at < end:
        try:
            done = os.copy_file_range(source, target, end - at, at, at)
        except OSError as error:
            if error.errno not in _NO_RANGE:
                raise
            done = os.pwrite(target, os.pread(source, min(_CHUNK, end - at), at), at)
        if not done:
            raise OSError(errno.EIO, "the file was truncated during the copy")
        at += done


def give_attributes(node: Node, place: bytes) -> None:
    """Give a copy its owner, mode, extended attributes and times, in the order that keeps them."""
    info = node.info
    os.chown(place, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(place, stat.S_IMODE(info.st_mode))
    for name, value in read_xattrs(node.origin):
        if name != OPAQUE:
            os.setxattr(place, name, value, follow_symlinks=False)
    os.utime(place, ns=(info.st_mtime_ns, info.st_mtime_ns), follow_symlinks=False)
