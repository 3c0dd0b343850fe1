"""The merged view of a stack of layers, in Python: what overlayfs would show, without a mount.

Stacks are listed bottom first, as everywhere in cloche (``lowerdir=`` of mount(8) has the top
first). The rules are overlayfs's (Documentation/filesystems/overlayfs.rst): a character device 0:0
hides a name, a directory marked opaque hides what lies below it, a file hides all below it, and
directories merge, with the attributes of the topmost one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from cloche.errors import Exit
from cloche.layers.errors import LayerError
from cloche.store.tree import OPAQUE

_CHUNK = 1 << 20  # bytes
_PATH_MAX, _NAME_MAX = 4096, 255  # bytes: limits.h

Candidate = tuple[bytes, os.stat_result]
"""What one layer has under a name: its path and attributes."""


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
    """Whether this is overlayfs's mark for a deleted name."""
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
    """Whether two files of the same size have the same content."""
    return all(chunk == b.read(_CHUNK) for chunk in iter(lambda: a.read(_CHUNK), b""))


class Merged:
    """A stack seen as one tree. The layers must not change during use."""

    def __init__(self, lowers: Sequence[Path]) -> None:
        for lower in lowers:
            if lower.is_symlink() or not lower.is_dir():
                raise LayerError(
                    "a layer of the stack is missing, or is not a directory",
                    where=lower,
                    todo="check whether it was moved; "
                    "`cloche store verify` finds what a store has lost",
                    status=Exit.FAILED,
                )
        parts = tuple(os.fsencode(lower) for lower in reversed(lowers))
        self.root = Node(b"", parts[0], os.lstat(parts[0]), parts) if parts else None
        self._directories: dict[bytes, Node | None] = {b"": self.root}

    def child(self, directory: Node, name: bytes) -> Node | None:
        """One name of a directory."""
        return _resolve(_join(directory.path, name), _candidates(directory.parts, name))

    def lookup(self, path: bytes) -> Node | None:
        """The node at ``path``, None if there is none. Links are not followed."""
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
        nodes = (_resolve(path, iter(found)) for path, found in listing(directory))
        return [node for node in nodes if node is not None]

    def walk(self, directory: Node | None = None) -> Iterator[Node]:
        """All names below the root (or a directory), itself first, names in byte order."""
        start = directory or self.root
        waiting = [start] if start is not None else []
        while waiting:
            node = waiting.pop()
            yield node
            if node.is_directory:
                waiting += reversed(self.children(node))


def merged(lowers: Sequence[Path]) -> Merged:
    """The merged view of layers, the bottom first. Raises `LayerError`."""
    return Merged(lowers)


def _refuse_too_long(error: OSError, path: bytes) -> None:
    """Raise `LayerError` if the path is over the kernel's limit."""
    if error.errno == errno.ENAMETOOLONG and len(path) > _PATH_MAX - _NAME_MAX:
        raise LayerError(
            f"a path of {len(path)} bytes is too long for a stack of layers",
            where=f"{os.fsdecode(path[:200])}…",
            todo="remove that tree before the layer is made, or leave it out (`drop`)",
            status=Exit.FAILED,
        ) from error


def _join(directory: bytes, name: bytes) -> bytes:
    return directory + b"/" + name if directory else name


def listing(directory: Node) -> Iterator[tuple[bytes, list[Candidate]]]:
    """Each path in a directory, in byte order, with what the layers have there, the top first."""
    found: dict[bytes, list[Candidate]] = {}
    for part in directory.parts:
        try:
            with os.scandir(part) as names:
                for item in names:
                    candidate = (item.path, item.stat(follow_symlinks=False))
                    found.setdefault(item.name, []).append(candidate)
        except OSError as error:
            _refuse_too_long(error, part)
            raise
    for name in sorted(found):
        yield _join(directory.path, name), found[name]


def _candidates(parts: Iterable[bytes], name: bytes) -> Iterator[Candidate]:
    """What each layer has under a name, the top first."""
    for part in parts:
        origin = part + b"/" + name
        # lstat showed the parts to be directories, and trees do not change: no link on the way.
        try:
            info = os.lstat(origin)
        except FileNotFoundError:
            continue
        except OSError as error:
            _refuse_too_long(error, origin)
            raise
        yield origin, info


def _resolve(path: bytes, candidates: Iterator[Candidate]) -> Node | None:
    """Merge the candidates for one name, the top first."""
    top = next(candidates, None)
    if top is None or is_whiteout(top[1]):
        return None
    return Node(path, *top, tuple(merging(chain([top], candidates))))


def merging(candidates: Iterable[Candidate]) -> Iterator[bytes]:
    """The directories that merge into one: down to an opaque one, or something else."""
    for origin, info in candidates:
        if not stat.S_ISDIR(info.st_mode):
            return
        yield origin
        if is_opaque(origin):
            return
