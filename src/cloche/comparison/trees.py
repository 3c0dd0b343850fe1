"""Reads the names of tarballs, directories and layers, each with its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloche.archives.tarball import member_of, members
from cloche.archives.tarformat import Extents, Read, nothing
from cloche.comparison.inventory import LIMITS
from cloche.comparison.source import Names
from cloche.layers.merge import Merged, open_node
from cloche.store.tree import FILE_TYPES, lasting

_CHUNK = 1 << 20


def names_of_tarball(path: Path) -> Names:
    """The members of a tarball. Raises `ImportRefusedError`, OSError."""
    for member, read in members(path, LIMITS.metadata):
        xattrs = tuple(pair for pair in member.xattrs if lasting(pair[0]))
        yield replace(member, xattrs=xattrs), _whole(member.extents, member.size, read)


def _whole(extents: Extents, size: int, read: Read) -> Read:
    """A function that reads a sparse file with its holes; ``read`` skips them."""
    if len(extents) == 1 and extents[0] == (0, size):
        return read
    at, waiting = 0, [*reversed(extents)]

    def whole(wanted: int) -> bytes:
        nonlocal at
        while waiting and at >= sum(waiting[-1]):
            waiting.pop()
        start, length = waiting[-1] if waiting else (size, 0)
        if at < start:
            data = bytes(min(wanted, start - at, _CHUNK))
        else:
            data = read(min(wanted, start + length - at))
        at += len(data)
        return data

    return whole


def names_of(directories: Sequence[Path]) -> Names:
    """The names of a directory, or of the root that layers make, the bottom first.

    Links are not followed. Raises OSError, LayerError.
    """
    first: dict[tuple[int, int], bytes] = {}
    for node in Merged(directories).walk():
        info = node.info
        kind = FILE_TYPES[stat.S_IFMT(info.st_mode)]
        inode = (info.st_dev, info.st_ino)
        shared = kind != "directory" and info.st_nlink > 1
        if shared and first.setdefault(inode, node.path) != node.path:
            yield member_of(node, "link", first[inode]), nothing
        elif kind == "file":
            with open_node(node) as file:
                yield member_of(node, kind), file.read
        else:
            target = os.readlink(node.origin) if kind == "symlink" else b""  # noqa: PTH115 - bytes
            yield member_of(node, kind, target), nothing
