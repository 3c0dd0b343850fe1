"""Turns what a sandbox wrote into a layer.

The upper directory of an overlay holds more than the changes: overlayfs's own attributes, an opaque
mark on every new directory, copies of files that were only opened for writing, directories copied
up because of a name in them. And a package's hooks write to files of the whole root. All of this is
removed, so that a layer only holds the package's changes, and has the same id wherever it is built.

A layer depends on what the lowers show and what the root finally shows, not on the steps between: a
directory that was deleted and made again has lost some names. So a layer hides names by single
whiteouts, and has no opaque directories, which would hide more over other layers.
"""

# Names are bytes here, which pathlib does not know.
# ruff: noqa: PTH115, PTH116

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.layers.merge import Merged, Node, is_opaque, is_whiteout, open_node, same_bytes
from cloche.layers.patterns import Matcher, matcher
from cloche.store.removal import remove_at
from cloche.store.tree import (
    OPAQUE,
    check_depth,
    open_directory,
    open_file,
    read_xattrs,
)


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """What a capture kept and left out; paths are relative to the root.

    ``kept`` counts names; ``dropped`` are those that matched a pattern (the topmost of each
    subtree); ``unchanged`` counts files equal to the lowers'; ``deleted`` are names of the lowers
    that the layer hides.
    """

    kept: int
    dropped: tuple[str, ...]
    unchanged: int
    deleted: tuple[str, ...]


def capture(
    top: Path,
    lowers: Sequence[Path],
    destination: Path,
    *,
    drop: Sequence[str] = (),
    drop_unchanged: bool = True,
) -> CaptureReport:
    """Make a clean layer from an overlay's upper directory ``top`` and move it to ``destination``.

    ``top`` is consumed, and must not be mounted. Its mode and owner are part of the layer and its
    id: the engine copies them from the topmost lower. ``lowers`` are the overlay's, the bottom
    first. ``destination`` is on the same file system and missing, or ``top`` itself. ``drop`` are
    patterns of paths (see `patterns`) that no layer holds. Files equal to the lowers' except for
    times are removed, unless ``drop_unchanged`` is off. Raises OSError, `LayerError`, and
    `store.UnreadableTreeError`.
    """
    fd = open_directory(top)
    try:
        worker = _Capture(top, fd, Merged(lowers), matcher(drop), drop_unchanged)
        worker.directory(fd, b"", worker.merged.root, opaque=False)
        _strip(fd)
    finally:
        os.close(fd)
    if destination != top:
        top.rename(destination)
    return CaptureReport(
        kept=worker.kept,
        dropped=tuple(map(os.fsdecode, worker.dropped)),
        unchanged=worker.unchanged,
        deleted=tuple(map(os.fsdecode, sorted(worker.deleted))),
    )


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of a directory: whether it holds a name still, and whether one was dropped."""

    holds: bool
    dropped: bool


class _Capture:
    """One capture: walks the upper directory by descriptors, deepest names first."""

    def __init__(
        self, place: Path, top: int, merged: Merged, drop: Matcher, drop_unchanged: bool
    ) -> None:
        self.place = place
        self.merged = merged
        self.drop = drop
        self.drop_unchanged = drop_unchanged
        self.links = _Links(place, top, merged, drop)
        self.kept = 0
        self.unchanged = 0
        self.dropped: list[bytes] = []
        self.deleted: list[bytes] = []

    def directory(self, fd: int, path: bytes, lower: Node | None, *, opaque: bool) -> _Left:
        """Clean one directory; ``lower`` is what the lowers show in its place, if anything.

        An ``opaque`` one, or one below it, shows only what it holds itself.
        """
        check_depth(self.place, path)
        before = os.fstat(fd)
        holds = dropped = False
        prefix = path + b"/" if path else b""
        names = sorted(os.fsencode(name) for name in os.listdir(fd))
        for name in names:
            if self.drop(prefix + name):
                remove_at(fd, name)
                self.dropped.append(prefix + name)
                dropped = True
                continue
            below = self.merged.child(lower, name) if lower is not None else None
            left = self.name(fd, name, prefix + name, below, opaque=opaque)
            holds |= left.holds
            dropped |= left.dropped
        if opaque and lower is not None:
            holds |= self.hide_others(fd, set(names), lower)
        if os.fstat(fd).st_mtime_ns != before.st_mtime_ns:
            os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        return _Left(holds, dropped)

    def hide_others(self, fd: int, names: Collection[bytes], lower: Node) -> bool:
        """Make whiteouts for the lowers' names besides ``names``; say whether there are any."""
        hidden = False
        for node in self.merged.children(lower):
            name = node.path.rpartition(b"/")[2]
            if name not in names and not self.drop(node.path):
                os.mknod(name, stat.S_IFCHR, 0, dir_fd=fd)
                self.deleted.append(node.path)
                self.kept += 1
                hidden = True
        return hidden

    def name(self, fd: int, name: bytes, path: bytes, below: Node | None, *, opaque: bool) -> _Left:
        """Clean one name of a directory, and remove it if it is not a change."""
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            return self.subdirectory(fd, name, path, below, opaque=opaque)
        if is_whiteout(info):
            if below is None:  # it hides nothing, or what it hides is dropped
                os.unlink(name, dir_fd=fd)
                return _Left(holds=False, dropped=False)
            self.deleted.append(path)
        elif self.drop_unchanged and below is not None and self.same(fd, name, info, below):
            os.unlink(name, dir_fd=fd)
            self.unchanged += 1
            return _Left(holds=False, dropped=False)
        elif stat.S_ISREG(info.st_mode):  # other types cannot have user.* attributes
            with _opened(name, fd) as file:
                _strip(file)
        self.kept += 1
        return _Left(holds=True, dropped=False)

    def same(self, fd: int, name: bytes, info: os.stat_result, below: Node) -> bool:
        """Whether a name that is not a directory equals the one below, except for times."""
        # A hard link is a change unless the lowers have it: two layers cannot share an inode.
        return _same(fd, name, info, below) and (info.st_nlink == 1 or self.links.known(info))

    def subdirectory(
        self, fd: int, name: bytes, path: bytes, below: Node | None, *, opaque: bool
    ) -> _Left:
        """Clean a directory and decide whether it stays."""
        lower = below if below is not None and below.is_directory else None
        inner = open_directory(name, fd)
        try:
            left = self.directory(inner, path, lower, opaque=opaque or is_opaque(inner))
            _strip(inner)
            same = lower is not None and _attributes(inner) == _attributes(lower.origin)
        finally:
            os.close(inner)
        superfluous = same if lower is not None else left.dropped
        if left.holds or not superfluous:
            self.kept += 1
            return _Left(holds=True, dropped=left.dropped)
        os.rmdir(name, dir_fd=fd)
        self.unchanged += same
        return _Left(holds=False, dropped=left.dropped)


class _Links:
    """The names of each inode of the top that has several; read on first use."""

    def __init__(self, place: Path, top: int, merged: Merged, drop: Matcher) -> None:
        self.place = place
        self.top = top
        self.merged = merged
        self.drop = drop
        self.names: dict[tuple[int, int], list[bytes]] | None = None
        self.verdicts: dict[tuple[int, int], bool] = {}

    def known(self, info: os.stat_result) -> bool:
        """Whether the lowers also have a single inode under all names of this one."""
        inode = (info.st_dev, info.st_ino)
        if inode not in self.verdicts:
            if self.names is None:
                self.names = {}
                self._read(self.top, b"", self.names)
            nodes = [self.merged.lookup(path) for path in self.names[inode]]
            lowers = {node and (node.info.st_dev, node.info.st_ino) for node in nodes}
            self.verdicts[inode] = None not in lowers and len(lowers) == 1
        return self.verdicts[inode]

    def _read(self, fd: int, prefix: bytes, names: dict[tuple[int, int], list[bytes]]) -> None:
        check_depth(self.place, prefix)
        for text in os.listdir(fd):
            name = os.fsencode(text)
            path = prefix + name
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if self.drop(path):
                continue
            if stat.S_ISDIR(info.st_mode):
                with _opened(name, fd) as inner:
                    self._read(inner, path + b"/", names)
            elif info.st_nlink > 1:
                names.setdefault((info.st_dev, info.st_ino), []).append(path)


@contextmanager
def _opened(name: bytes, within: int) -> Iterator[int]:
    fd = open_file(name, within)
    try:
        yield fd
    finally:
        os.close(fd)


def _strip(fd: int) -> None:
    """Remove overlayfs's attributes."""
    for name in map(os.fsencode, os.listxattr(fd)):
        if name.startswith(b"user.overlay."):
            os.removexattr(fd, name)


def _attributes(where: int | bytes) -> tuple[object, ...]:
    """All attributes of a name, except for its content, times and overlayfs's attributes."""
    info = os.stat(where) if isinstance(where, int) else os.lstat(where)
    xattrs = tuple(pair for pair in read_xattrs(where) if pair[0] != OPAQUE)
    return (info.st_mode, info.st_uid, info.st_gid, xattrs)


def _same(fd: int, name: bytes, info: os.stat_result, below: Node) -> bool:
    """Whether a name that is not a directory equals the one below, except for times."""
    there = below.info
    if (info.st_mode, info.st_uid, info.st_gid) != (there.st_mode, there.st_uid, there.st_gid):
        return False
    if info.st_rdev != there.st_rdev:
        return False
    if stat.S_ISREG(info.st_mode):
        if info.st_size != there.st_size:
            return False
        with _opened(name, fd) as mine:
            if _attributes(mine) != _attributes(below.origin):
                return False
            with open(mine, "rb", closefd=False) as file, open_node(below) as other:
                return same_bytes(file, other)
    here = b"/proc/self/fd/%d/%s" % (fd, name)
    if _attributes(here) != _attributes(below.origin):
        return False
    return not stat.S_ISLNK(info.st_mode) or os.readlink(here) == os.readlink(below.origin)
