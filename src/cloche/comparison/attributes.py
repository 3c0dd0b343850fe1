"""Extended attributes of files in squashfs, btrfs and XFS images, which dissect.* does not read."""

from __future__ import annotations

import struct
from typing import Any

Xattrs = tuple[tuple[bytes, bytes], ...]

_MOST = 1000  # attributes of one file
_NONE = 0xFFFFFFFF
_METADATA = 8192  # bytes of a block of metadata of squashfs
_SQUASHFS_PREFIXES = {0: b"user.", 1: b"trusted.", 2: b"security."}
_OUT_OF_LINE = 0x100
_EXTENDED = 8  # the first type of inodes of squashfs that can have attributes
_BTRFS_XATTR = 24  # BTRFS_XATTR_ITEM_KEY
_BTRFS_HEAD = struct.Struct("<17xQHHB")  # btrfs_dir_item
_XFS_LOCAL = 1  # XFS_DINODE_FMT_LOCAL
_XFS_PREFIXES = {0: b"user.", 2: b"trusted.", 4: b"security."}
_XFS_ACLS = {b"SGI_ACL_FILE": b"system.posix_acl_access"}


class SquashfsAttributes:
    """The attributes in a squashfs, which has a separate table for them (squashfs.rst, 3.7)."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs
        self._blocks: list[int] = []
        start = fs.sb.xattr_id_table_start
        if start == -1:
            return
        fs.fh.seek(start)
        self._start, count, _ = struct.unpack("<QII", fs.fh.read(16))
        self._blocks = fs._read_table(start + 16, count, 16)

    def of(self, inode: Any) -> Xattrs:
        """The attributes of one inode."""
        if not self._blocks or inode.header.inode_type < _EXTENDED:
            return ()
        number = getattr(inode.header, "xattr", _NONE)  # the library does not read those of links
        if number == _NONE:
            return ()
        block, offset = divmod(number * 16, _METADATA)
        _, _, data = self._fs._read_metadata(self._blocks[block], offset, 16)
        place, count, _ = struct.unpack("<QII", data)
        at = self._start + (place >> 16), place & 0xFFFF
        found = []
        for _ in range(min(count, _MOST)):
            at, head = self._read(at, 4)
            kind, size = struct.unpack("<HH", head)
            at, name = self._read(at, size)
            at, value = self._value(at)
            if kind & _OUT_OF_LINE:
                (elsewhere,) = struct.unpack("<Q", value)
                _, value = self._value((self._start + (elsewhere >> 16), elsewhere & 0xFFFF))
            found.append((_SQUASHFS_PREFIXES[kind & 0xFF] + name, value))
        return tuple(found)

    def _value(self, at: tuple[int, int]) -> tuple[tuple[int, int], bytes]:
        at, size = self._read(at, 4)
        return self._read(at, *struct.unpack("<I", size))

    def _read(self, at: tuple[int, int], size: int) -> tuple[tuple[int, int], bytes]:
        block, offset, data = self._fs._read_metadata(*at, size)
        return (block, offset), data


def of_btrfs(inode: Any) -> Xattrs:
    """The attributes of a btrfs inode: items of their own type, each with one or more."""
    found: list[tuple[bytes, bytes]] = []
    cursor = inode.subvolume.tree.cursor()
    for _, view in cursor.iter(inode.inum, _BTRFS_XATTR, 0, ignore_offset=True):
        data, at = bytes(view), 0
        while at + _BTRFS_HEAD.size <= len(data) and len(found) < _MOST:
            _, value, name, _ = _BTRFS_HEAD.unpack_from(data, at)
            at += _BTRFS_HEAD.size
            found.append((data[at : at + name], data[at + name : at + name + value]))
            at += name + value
    return tuple(found)


def of_xfs(inode: Any) -> Xattrs:
    """The attributes of an XFS inode that are stored in the inode itself, as small ones are."""
    raw = inode.inode
    if not raw.di_forkoff or raw.di_aformat != _XFS_LOCAL:
        return ()
    data = inode.attrfork().read()
    _, count = struct.unpack_from(">HB", data)
    found, at = [], 4
    for _ in range(count):
        name_size, size, flags = struct.unpack_from("BBB", data, at)
        name = data[at + 3 : at + 3 + name_size]
        at += 3 + name_size
        prefix = _XFS_PREFIXES.get(flags & 0x6, b"")
        found.append((_XFS_ACLS.get(name, prefix + name), data[at : at + size]))
        at += size
    return tuple(found)
