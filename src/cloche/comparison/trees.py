"""The names of tarballs, directories and layers, each with its content."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from cloche.archives.decompression import unpacked
from cloche.archives.tarformat import Extents, Member, TarReader
from cloche.comparison.content import Read
from cloche.layers.merge import Merged, Node, open_node
from cloche.store.tree import lasting, read_xattrs

_METADATA = 1 << 20  # bytes that may describe one member
_TRAILER = 1 << 20  # bytes of padding that may follow the end of an archive
_CHUNK = 1 << 20
_TYPES = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character",
    stat.S_IFBLK: "block",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def names_of_tarball(path: Path) -> Iterator[tuple[Member, Read]]:
    """The members of a tarball. Raises `ImportRefusedError`, OSError."""
    with unpacked(path) as stream:
        reader = TarReader(stream, path, _METADATA)
        for member in reader:
            xattrs = tuple(pair for pair in member.xattrs if lasting(pair[0]))
            yield replace(member, xattrs=xattrs), _whole(member.extents, member.size, reader.read)
        left = _TRAILER  # to the end, where compressed files have their checksums
        while left > 0 and (data := stream.read(left)):
            left -= len(data)


def _whole(extents: Extents, size: int, read: Read) -> Read:
    """Reads a sparse file with its holes; ``read`` yields what is not a hole."""
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


def names_of(directories: Sequence[Path]) -> Iterator[tuple[Member, Read]]:
    """The names of a directory, or of the root that layers make, the bottom first.

    Links are not followed. Raises OSError, LayerError.
    """
    first: dict[tuple[int, int], bytes] = {}
    for node in Merged(directories).walk():
        info = node.info
        kind = _TYPES[stat.S_IFMT(info.st_mode)]
        inode = (info.st_dev, info.st_ino)
        shared = kind != "directory" and info.st_nlink > 1
        if shared and first.setdefault(inode, node.path) != node.path:
            yield _member(node, "link", first[inode]), _nothing
        elif kind == "file":
            with open_node(node) as file:
                yield _member(node, kind), file.read
        else:
            target = os.readlink(node.origin) if kind == "symlink" else b""  # noqa: PTH115 - bytes
            yield _member(node, kind, target), _nothing


def _member(node: Node, kind: str, target: bytes = b"") -> Member:
    info = node.info
    device = (os.major(info.st_rdev), os.minor(info.st_rdev))
    return Member(
        name=node.path or b".",
        type=kind,
        mode=stat.S_IMODE(info.st_mode),
        uid=info.st_uid,
        gid=info.st_gid,
        mtime_ns=info.st_mtime_ns,
        size=info.st_size if kind == "file" else 0,
        target=target,
        device=device if kind in ("character", "block") else (0, 0),
        xattrs=read_xattrs(node.origin) if kind not in ("symlink", "link") else (),
    )


def _nothing(_: int) -> bytes:
    return b""
