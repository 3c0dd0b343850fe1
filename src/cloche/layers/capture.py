"""Turning what a sandbox wrote into a layer.

The upper directory of an overlay holds more than was meant: overlayfs's own attributes, an opaque
mark on every new directory, copies of files that were only opened for writing, directories that
were copied up for the sake of something in them. And a package's hooks write to files that belong
to the whole root. All of this goes, so that a layer holds what a package means and nothing else,
and has the same id wherever it was built.
"""

# ruff: noqa: PTH - names are bytes here, which pathlib does not know

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.layers.merge import Merged, Node, is_opaque, is_whiteout, open_node, same_bytes
from cloche.layers.patterns import matcher
from cloche.store.tree import OPAQUE, open_directory, open_file, read_xattrs, remove_at


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """What a capture kept and left out; paths are relative to the root.

    ``kept`` counts names; ``dropped`` are those that a pattern named (the topmost of each subtree);
    ``unchanged`` counts copies of what the lowers have anyway; ``deleted`` are names of the lowers
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
    """Make a clean layer of ``top``, an overlay's upper directory, and move it to ``destination``.

    ``top`` is consumed; nothing may be mounted over it any more. ``lowers`` are what it was mounted
    over, the bottom first. ``destination`` is on the same file system and missing, or ``top``
    itself. ``drop`` are patterns of paths (see `patterns`) that no layer holds. Files that equal
    the merged lowers in all but time are taken out, unless ``drop_unchanged`` is off. Raises
    OSError, and `MissingLowerError`.
    """
    worker = _Capture(Merged(lowers), drop, drop_unchanged)
    fd = open_directory(top)
    try:
        worker.directory(fd, b"", worker.merged.root)
        _strip(fd, opaque=False)
    finally:
        os.close(fd)
    if destination != top:
        top.rename(destination)
    return CaptureReport(
        kept=worker.kept,
        dropped=tuple(map(os.fsdecode, worker.dropped)),
        unchanged=worker.unchanged,
        deleted=tuple(map(os.fsdecode, worker.deleted)),
    )


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of a directory: whether it holds a name still, and whether one was dropped."""

    holds: bool
    dropped: bool


class _Capture:
    """One capture: walks the upper directory by descriptors, deepest names first."""

    def __init__(self, merged: Merged, drop: Sequence[str], drop_unchanged: bool) -> None:
        self.merged = merged
        self.drop = matcher(drop)
        self.drop_unchanged = drop_unchanged
        self.kept = 0
        self.unchanged = 0
        self.dropped: list[bytes] = []
        self.deleted: list[bytes] = []

    def directory(self, fd: int, path: bytes, lower: Node | None) -> _Left:
        """Clean one directory; ``lower`` is what the lowers show in its place, if they do."""
        before = os.fstat(fd)
        holds = dropped = False
        prefix = path + b"/" if path else b""
        for name in sorted(os.fsencode(name) for name in os.listdir(fd)):
            if self.drop(prefix + name):
                remove_at(fd, name)
                self.dropped.append(prefix + name)
                dropped = True
                continue
            below = self.merged.child(lower, name) if lower is not None else None
            left = self.name(fd, name, prefix + name, below)
            holds |= left.holds
            dropped |= left.dropped
        if os.fstat(fd).st_mtime_ns != before.st_mtime_ns:
            os.utime(fd, ns=(before.st_atime_ns, before.st_mtime_ns))
        return _Left(holds, dropped)

    def name(self, fd: int, name: bytes, path: bytes, below: Node | None) -> _Left:
        """Clean one name of a directory, and take it out where it means nothing."""
        info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        if stat.S_ISDIR(info.st_mode):
            return self.subdirectory(fd, name, path, below)
        if is_whiteout(info):
            if below is None:  # made for something that has been dropped since, or in vain
                os.unlink(name, dir_fd=fd)
                return _Left(holds=False, dropped=False)
            self.deleted.append(path)
        elif self.drop_unchanged and below is not None and _same(fd, name, info, below):
            os.unlink(name, dir_fd=fd)
            self.unchanged += 1
            return _Left(holds=False, dropped=False)
        elif stat.S_ISREG(info.st_mode):  # other types cannot have user.* attributes
            with _opened(name, fd) as file:
                _strip(file, opaque=False)
        self.kept += 1
        return _Left(holds=True, dropped=False)

    def subdirectory(self, fd: int, name: bytes, path: bytes, below: Node | None) -> _Left:
        """Clean a directory and decide whether it stays."""
        lower = below if below is not None and below.is_directory else None
        inner = open_directory(name, fd)
        try:
            hides = is_opaque(inner) and lower is not None and bool(self.merged.children(lower))
            left = self.directory(inner, path, None if hides else lower)
            _strip(inner, opaque=hides)
            same = lower is not None and _attributes(inner) == _attributes(lower.origin)
        finally:
            os.close(inner)
        superfluous = same if lower is not None else left.dropped
        if left.holds or hides or not superfluous:
            self.kept += 1
            return _Left(holds=True, dropped=left.dropped)
        os.rmdir(name, dir_fd=fd)
        self.unchanged += same
        return _Left(holds=False, dropped=left.dropped)


@contextmanager
def _opened(name: bytes, within: int) -> Iterator[int]:
    fd = open_file(name, within)
    try:
        yield fd
    finally:
        os.close(fd)


def _strip(fd: int, *, opaque: bool) -> None:
    """Take off overlayfs's attributes, but for the opaque mark of a directory that needs it."""
    for name in map(os.fsencode, os.listxattr(fd)):
        if name.startswith(b"user.overlay.") and not (opaque and name == OPAQUE):
            os.removexattr(fd, name)


def _attributes(where: int | bytes) -> tuple[object, ...]:
    """All that a name is, but for its content, its times and overlayfs's attributes."""
    info = os.stat(where) if isinstance(where, int) else os.lstat(where)
    xattrs = tuple(pair for pair in read_xattrs(where) if pair[0] != OPAQUE)
    return (info.st_mode, info.st_uid, info.st_gid, xattrs)


def _same(fd: int, name: bytes, info: os.stat_result, below: Node) -> bool:
    """Whether a name that is no directory equals the one below in all but its times."""
    there = below.info
    if (info.st_mode, info.st_uid, info.st_gid) != (there.st_mode, there.st_uid, there.st_gid):
        return False
    if info.st_nlink > 1 or info.st_rdev != there.st_rdev:
        return False  # a hard link is news, and cannot be had from two layers
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
