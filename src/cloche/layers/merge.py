"""The merged view of a stack of layers, in Python: what overlayfs would show, without a mount.

Stacks are given the bottom first, as everywhere in cloche (``lowerdir=`` of mount(8) has the top
first). The rules are overlayfs's (Documentation/filesystems/overlayfs.rst): a character device 0:0
hides a name, a directory marked opaque hides what lies below it, a file hides all below it, and
directories merge, with the attributes of the topmost one.
"""

# ruff: noqa: PTH - names are bytes here, which pathlib does not know

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from errno import EMLINK, EPERM, EXDEV
from pathlib import Path
from typing import BinaryIO

from cloche.layers.errors import MissingLowerError
from cloche.store.tree import OPAQUE, read_xattrs

_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Node:
    """One name of a merged view.

    ``path`` is relative, b"" for the root; ``origin`` is where the topmost layer has it; ``info``
    its attributes there. ``parts`` are the directories that merge into this one, the top first.
    """

    path: bytes
    origin: bytes
    info: os.stat_result
    parts: tuple[bytes, ...] = ()

    @property
    def is_directory(self) -> bool:
        """True for a directory."""
        return stat.S_ISDIR(self.info.st_mode)


def is_whiteout(info: os.stat_result) -> bool:
    """Whether this is overlayfs's mark for a name that is gone."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


def is_opaque(where: int | bytes) -> bool:
    """Whether a directory (descriptor or path) hides what lies below it."""
    with suppress(OSError):
        return os.getxattr(where, OPAQUE) == b"y"
    return False


def open_node(node: Node) -> BinaryIO:
    """Open the content of a name that is a regular file."""
    return open(os.open(node.origin, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def same_bytes(a: BinaryIO, b: BinaryIO) -> bool:
    """Whether two files of the same size hold the same."""
    return all(chunk == b.read(_CHUNK) for chunk in iter(lambda: a.read(_CHUNK), b""))


class Merged:
    """A stack seen as one tree. The layers must not change meanwhile."""

    def __init__(self, lowers: Sequence[Path]) -> None:
        for lower in lowers:
            if lower.is_symlink() or not lower.is_dir():
                raise MissingLowerError(lower)
        parts = tuple(os.fsencode(lower) for lower in reversed(lowers))
        self.root = Node(b"", parts[0], os.lstat(parts[0]), parts) if parts else None
        self._directories: dict[bytes, Node | None] = {b"": self.root}

    def child(self, directory: Node, name: bytes) -> Node | None:
        """One name of a directory."""
        return _resolve(_join(directory.path, name), _candidates(directory.parts, name))

    def lookup(self, path: bytes) -> Node | None:
        """What the view has at ``path``; None where it has nothing. Links are not followed."""
        if path in self._directories:
            return self._directories[path]
        above, _, name = path.rpartition(b"/")
        directory = self.lookup(above)
        node = self.child(directory, name) if directory and directory.is_directory else None
        if node is None or node.is_directory:
            self._directories[path] = node
        return node

    def children(self, directory: Node) -> list[Node]:
        """The names of a directory, in byte order."""
        found: dict[bytes, list[tuple[bytes, os.stat_result]]] = {}
        for part in directory.parts:
            with os.scandir(part) as listing:
                for item in listing:
                    candidate = (item.path, item.stat(follow_symlinks=False))
                    found.setdefault(item.name, []).append(candidate)
        nodes = (_resolve(_join(directory.path, name), found[name]) for name in sorted(found))
        return [node for node in nodes if node is not None]

    def walk(self, directory: Node | None = None) -> Iterator[Node]:
        """All names below the root (or a directory), itself first, names in byte order."""
        directory = directory or self.root
        if directory is None:
            return
        yield directory
        for node in self.children(directory):
            if node.is_directory:
                yield from self.walk(node)
            else:
                yield node


def merged(lowers: Sequence[Path]) -> Merged:
    """The merged view of layers, the bottom first. Raises `MissingLowerError`."""
    return Merged(lowers)


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def _candidates(parts: Iterable[bytes], name: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    """What each layer has under a name, the top first."""
    for part in parts:
        origin = part + b"/" + name
        # The parts are directories, seen by lstat, of trees that do not change: no link on the way.
        with suppress(FileNotFoundError):
            yield origin, os.lstat(origin)


def _resolve(path: bytes, candidates: Iterable[tuple[bytes, os.stat_result]]) -> Node | None:
    """Decide what candidates for one name, the top first, show together."""
    parts: list[bytes] = []
    top: os.stat_result | None = None
    for origin, info in candidates:
        if is_whiteout(info):
            break
        if not stat.S_ISDIR(info.st_mode):
            if top is None:
                return Node(path, origin, info)
            break
        top = top or info
        parts.append(origin)
        if is_opaque(origin):
            break
    return Node(path, parts[0], top, tuple(parts)) if top is not None else None


def flatten(lowers: Sequence[Path], destination: Path, *, link: bool = True) -> int:
    """Make one tree of a stack, and give the number of names in it.

    ``destination`` must be missing or empty. Files are hard links to those of the layers, so nobody
    may ever write to the tree; without ``link``, and where links are not possible (another file
    system, too many of them), they are copies with the same attributes and times. The lowest of
    ``lowers`` must be the bottom of a root: marks for hiding have nothing left to hide, and go.
    """
    destination.mkdir(exist_ok=True)
    goal = os.fsencode(destination)
    farm = _Farm(link)
    count = 0
    directories: list[tuple[bytes, Node]] = []
    for node in Merged(lowers).walk():
        place = _join(goal, node.path) if node.path else goal
        if node.is_directory:
            if node.path:
                os.mkdir(place, 0o700)
            directories.append((place, node))
        else:
            farm.add(node, place)
        count += 1
    for place, node in reversed(directories):  # a directory's time changes with what it gets
        _attributes(node, place)
    return count


class _Farm:
    """Links or copies, with hard links of the source kept among the copies."""

    def __init__(self, link: bool) -> None:
        self.link = link
        self.copies: dict[tuple[int, int], bytes] = {}

    def add(self, node: Node, place: bytes) -> None:
        if self.link:
            try:
                os.link(node.origin, place, follow_symlinks=False)
                return
            except OSError as error:
                if error.errno not in (EXDEV, EMLINK, EPERM):
                    raise
        inode = (node.info.st_dev, node.info.st_ino)
        if node.info.st_nlink > 1 and inode in self.copies:
            os.link(self.copies[inode], place, follow_symlinks=False)
            return
        _copy(node, place)
        self.copies[inode] = place


def _copy(node: Node, place: bytes) -> None:
    kind = stat.S_IFMT(node.info.st_mode)
    if kind == stat.S_IFLNK:
        os.symlink(os.readlink(node.origin), place)
    elif kind == stat.S_IFREG:
        shutil.copyfile(node.origin, place, follow_symlinks=False)
    else:
        os.mknod(place, node.info.st_mode, node.info.st_rdev)
    _attributes(node, place)


def _attributes(node: Node, place: bytes) -> None:
    """Give a copy its owner, mode, extended attributes and times, in the order that keeps them."""
    info = node.info
    os.chown(place, info.st_uid, info.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(place, stat.S_IMODE(info.st_mode))
    for name, value in read_xattrs(node.origin):
        if name != OPAQUE:
            os.setxattr(place, name, value, follow_symlinks=False)
    os.utime(place, ns=(info.st_mtime_ns, info.st_mtime_ns), follow_symlinks=False)
