"""The names of file systems in images: squashfs, ext2 to ext4, XFS, btrfs, FAT.

dissect.* reads them, but extended attributes only of ext4; `attributes` reads the others.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from typing import IO, Any

from dissect.btrfs import Btrfs
from dissect.extfs import ExtFS
from dissect.fat import FATFS
from dissect.squashfs import SquashFS
from dissect.xfs import XFS

from cloche.archives.decompression import Readable
from cloche.archives.tarformat import Member, nothing
from cloche.comparison.attributes import SquashfsAttributes, of_btrfs, of_xfs
from cloche.comparison.forms import Filesystem
from cloche.comparison.guard import each, guarded, reading, unreadable
from cloche.comparison.inventory import LIMITS
from cloche.comparison.source import Names
from cloche.store.tree import FILE_TYPES, lasting

_BLOCKS = 48  # decompressed blocks of a squashfs that are cached
_BLOCK = 1 << 20  # bytes: the largest that squashfs has
_DEVICES = ("character", "block")


@dataclass(frozen=True, slots=True)
class Node:
    """A name in a file system. The names of one file have the same ``inode``."""

    member: Member
    inode: object
    open: Callable[[], Readable]
    children: Callable[[], Iterator[Node]]


def names_of(form: Filesystem, image: IO[bytes], source: object) -> Names:
    """All names of a file system in an image. Raises `ClocheError` for one that is corrupt."""
    with guarded(source):
        image.seek(0)
        root = _ROOTS[form](image)
    first: dict[object, bytes] = {}
    waiting = [(b"", root)]
    while waiting:
        path, node = waiting.pop()
        member = replace(node.member, name=path or b".")
        if member.type == "directory":
            yield member, nothing
            if path.count(b"/") >= LIMITS.depth:
                raise unreadable(source, f"directories nested deeper than {LIMITS.depth}")
            below = [
                (path + b"/" + child.member.name if path else child.member.name, child)
                for child in each(source, node.children())
                if child.member.name not in (b"", b".", b"..") and b"/" not in child.member.name
            ]
            waiting += reversed(below)
        elif node.inode is not None and first.setdefault(node.inode, path) != path:
            yield replace(member, type="link", target=first[node.inode]), nothing
        elif member.type == "file" and member.size:
            with guarded(source):
                file = node.open()
            yield member, reading(source, file.read)
        else:
            yield member, nothing


def _member(
    name: str | None,
    mode: int,
    owner: tuple[int, int],
    size: int,
    target: str = "",
    device: tuple[int, int] = (0, 0),
    xattrs: tuple[tuple[bytes, bytes], ...] = (),
) -> Member:
    """A name with its attributes, but for times, which are not compared."""
    kind = FILE_TYPES[stat.S_IFMT(mode)]
    return Member(
        name=_bytes(name or ""),
        type=kind,
        mode=stat.S_IMODE(mode),
        uid=owner[0],
        gid=owner[1],
        mtime_ns=0,
        size=size if kind == "file" else 0,
        target=_bytes(target),
        device=device if kind in _DEVICES else (0, 0),
        xattrs=tuple(sorted(pair for pair in xattrs if lasting(pair[0]))),
    )


class Chunks:
    """A file whose content an iterator yields."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def read(self, size: int, /) -> bytes:
        """Read at most ``size`` bytes; none at the end."""
        self._rest = self._rest or next(self._chunks, b"")
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


# squashfs (kernel: Documentation/filesystems/squashfs.rst)


def _squashfs(image: IO[bytes]) -> Node:
    fs = SquashFS(image)
    if fs.block_size > _BLOCK:
        raise ValueError(f"blocks of {fs.block_size} bytes")
    fs._read_block = lru_cache(_BLOCKS)(fs._read_block.__wrapped__)
    return _of_squashfs(fs.root, SquashfsAttributes(fs))


def _of_squashfs(inode: Any, attributes: SquashfsAttributes) -> Node:
    header = inode.header
    member = _member(
        inode.name,
        inode.type | header.mode,
        (inode.uid, inode.gid),
        inode.size or 0,
        inode.link if inode.is_symlink() else "",
        _new_device(header.rdev) if inode.is_device() else (0, 0),
        attributes.of(inode),
    )
    return Node(
        member,
        inode.inode_number,
        lambda: Chunks(_content_in_squashfs(inode)),
        lambda: (_of_squashfs(child, attributes) for child in inode.iterdir()),
    )


def _content_in_squashfs(inode: Any) -> Iterator[bytes]:
    """Block by block: the library's own stream is slow for the tails of small files."""
    fs, place, left = inode.fs, inode.header.start_block, inode.size
    for stored, count in inode.block_list:
        if stored is None:  # the tail, which shares a block with others
            data = fs._read_fragment(inode.header.fragment, inode.header.offset, count)
        elif stored == 0:  # a hole
            data = bytes(min(left, fs.block_size))
        else:
            place, data = fs._read_block(place, stored)
        if not data or len(data) > fs.block_size:
            raise ValueError(f"a block of {len(data)} bytes")
        yield data
        left -= len(data)
    if left:
        raise ValueError(f"{left} bytes are missing")


def _new_device(number: int) -> tuple[int, int]:
    """The kernel's own form of a device number in 32 bits (linux/kdev_t.h, new_decode_dev)."""
    return (number & 0xFFF00) >> 8, (number & 0xFF) | ((number >> 12) & 0xFFF00)


# ext4 (kernel: Documentation/filesystems/ext4)


def _ext(image: IO[bytes]) -> Node:
    return _of_ext(ExtFS(image).root)


def _of_ext(inode: Any) -> Node:
    raw = inode.inode
    kind = stat.S_IFMT(raw.i_mode)
    old, new = (int.from_bytes(bytes(raw.i_block)[at : at + 4], "little") for at in (0, 4))
    device = (old >> 8, old & 0xFF) if old else _new_device(new)
    member = _member(
        inode.filename,
        raw.i_mode,
        (raw.i_uid | raw.i_uid_high << 16, raw.i_gid | raw.i_gid_high << 16),
        inode.size,
        inode.link if kind == stat.S_IFLNK else "",
        device if kind in (stat.S_IFCHR, stat.S_IFBLK) else (0, 0),
        tuple((_bytes(each.name), bytes(each.value)) for each in inode.xattr),
    )
    return Node(
        member, inode.inum, inode.open, lambda: (_of_ext(child) for child in inode.iterdir())
    )


# XFS (the XFS algorithms and data structures, 3rd edition)


def _xfs(image: IO[bytes]) -> Node:
    return _of_xfs(XFS(image).root)


def _of_xfs(inode: Any) -> Node:
    raw = inode.inode
    kind = stat.S_IFMT(raw.di_mode)
    device = (0, 0)
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        number = int.from_bytes(inode.datafork().read(4), "big")
        device = (number >> 18 & 0x3FFF, number & 0x3FFFF)  # as System V has it
    member = _member(
        inode.filename,
        raw.di_mode,
        (raw.di_uid, raw.di_gid),
        inode.size,
        inode.link if kind == stat.S_IFLNK else "",
        device,
        of_xfs(inode),
    )
    children = (child for child in inode.iterdir() if child.filename not in (".", ".."))
    return Node(member, inode.inum, inode.open, lambda: map(_of_xfs, children))


# btrfs (btrfs.readthedocs, "On-disk format")


def _btrfs(image: IO[bytes]) -> Node:
    return _of_btrfs("", Btrfs(image).root)


def _of_btrfs(name: str, inode: Any) -> Node:
    member = _member(
        name,
        inode.mode,
        (inode.uid, inode.gid),
        inode.size,
        inode.link if inode.is_symlink() else "",
        (inode.inode.rdev >> 20, inode.inode.rdev & 0xFFFFF),
        of_btrfs(inode),
    )
    return Node(
        member,
        (inode.subvolume.objectid, inode.inum),
        inode.open,
        lambda: (
            _of_btrfs(below, child) for below, child in inode.iterdir() if below not in (".", "..")
        ),
    )


# FAT (Microsoft, fatgen103)


def _fat(image: IO[bytes]) -> Node:
    fs = FATFS(image)
    chain, most = fs.fat.chain, fs.fat.entry_count

    def bounded(cluster: int) -> Iterator[int]:
        """The library follows a chain with a loop for ever."""
        clusters = list(islice(chain(cluster), most + 1))
        if len(clusters) > most:
            raise RecursionError
        return iter(clusters)

    fs.fat.chain = bounded
    return _of_fat(fs.root, root=True)


def _of_fat(entry: Any, *, root: bool = False) -> Node:
    directory = entry.is_directory()
    mode = stat.S_IFDIR | 0o755 if directory else stat.S_IFREG | 0o644
    name = "" if root else entry.name
    return Node(
        _member(name, mode, (0, 0), 0 if directory else entry.size),
        None,
        entry.open,
        lambda: (_of_fat(child) for child in entry.iterdir() if not child.is_volume_id()),
    )


_ROOTS: dict[Filesystem, Callable[[IO[bytes]], Node]] = {
    "squashfs": _squashfs,
    "ext": _ext,
    "xfs": _xfs,
    "btrfs": _btrfs,
    "fat": _fat,
}
