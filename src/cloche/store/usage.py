"""What a store takes up on disk."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cloche.store.names import CCACHES
from cloche.store.store import Store
from cloche.store.sweep import unlisted
from cloche.store.tree import walk


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a store: how many things, and how many bytes on disk."""

    name: str
    count: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """A part for each kind of tree, for compile caches, for each further directory of a store, and
    for what is unknown.

    A file with several names counts in the first part that holds one of them, so that ``bytes`` is
    what the disk would gain without the store.
    """

    parts: tuple[Part, ...]

    @property
    def bytes(self) -> int:
        """Bytes on disk in all."""
        return sum(part.bytes for part in self.parts)


def usage(store: Store) -> Usage:
    """Measure a store."""
    seen: set[tuple[int, int]] = set()
    strays = unlisted(store)
    kinds: dict[str, list[Path]] = {}
    for tree in store.trees():
        kinds.setdefault(tree.kind, []).append(tree.path)
    parts = [
        Part(kind, len(paths), disk_usage(paths, seen)) for kind, paths in sorted(kinds.items())
    ]
    caches = {store.blobs / id for pin in store.pins(CCACHES) for id in pin.blobs}
    caches = {path for path in caches if path.exists()}
    if caches:
        parts.append(Part("ccache", len(caches), disk_usage(caches, seen)))
    for directory in (
        store.path / "backup",
        store.unions,
        store.blobs,
        store.distfiles,
        store.downloads,
        store.logs,
        store.failed,
        store.freshroots,
        store.tmp,
    ):
        paths = [path for path in directory.iterdir() if path not in strays and path not in caches]
        parts.append(Part(directory.name, len(paths), disk_usage(paths, seen)))
    if strays:
        parts.append(Part("unknown", len(strays), disk_usage(strays, seen)))
    return Usage(tuple(parts))


def disk_usage(paths: Iterable[Path], seen: set[tuple[int, int]] | None = None) -> int:
    """Bytes on disk of files and trees, every inode once.

    ``seen`` carries inodes from call to call. What vanishes during the count is left out.
    """
    seen = set() if seen is None else seen
    total = 0
    for path in paths:
        for item in _items(path):
            if item.inode not in seen:
                seen.add(item.inode)
                total += item.blocks
    return total


def freed(paths: Iterable[Path]) -> int:
    """Bytes on disk that removing these would give back: inodes with other names give nothing."""
    names: dict[tuple[int, int], int] = {}
    items: dict[tuple[int, int], _Item] = {}
    for path in paths:
        for item in _items(path):
            names[item.inode] = names.get(item.inode, 0) + 1
            items[item.inode] = item
    return sum(item.blocks for inode, item in items.items() if names[inode] >= item.names)


@dataclass(frozen=True, slots=True)
class _Item:
    inode: tuple[int, int]
    names: int  # 1 for a directory, whose st_nlink counts its subdirectories
    blocks: int


def _items(path: Path) -> list[_Item]:
    try:
        info = path.lstat()
        if not stat.S_ISDIR(info.st_mode):
            return [_Item((info.st_dev, info.st_ino), info.st_nlink, info.st_blocks * 512)]
        entries = walk(path, content=False)
    except FileNotFoundError:
        return []
    return [
        _Item(entry.inode, 1 if entry.type == "directory" else entry.names, entry.blocks)
        for entry in entries
    ]
