"""Reads a disk in QEMU's format (docs/interop/qcow2.rst of QEMU), as far as its boot sectors need.

An image may name other files whose content the guest then sees: such an image is refused.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from cloche.booting.errors import BootError, not_bootable

MAGIC = b"QFI\xfb"
_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_OFFSET = 0x00FF_FFFF_FFFF_FE00
_COMPRESSED, _ZERO = 1 << 62, 1
_DATA_FILE, _ZSTD, _EXTENDED = 1 << 2, 1 << 3, 1 << 4  # incompatible features


class Qcow2:
    """A disk's content by offsets. Raises `BootError` for an image that must not be started."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path, self._file = path, file
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise self._corrupt()
        _, version, backing, _, self._bits, self.size, crypt, self._l1_size, self._l1, *_ = (
            _HEADER.unpack(header)
        )
        self._features = struct.unpack(">Q", file.read(8))[0] if version >= 3 else 0
        if version not in (2, 3) or not 9 <= self._bits <= 21:
            raise self._corrupt()
        if backing or self._features & _DATA_FILE:
            what = (
                "the image refers to another file of this host, whose content the guest would see"
            )
            raise not_bootable(path, what, "make it whole: `qemu-img convert -O qcow2 IMAGE NEW`")
        if crypt:
            raise not_bootable(path, "the image is encrypted", "convert it without encryption")

    def read(self, offset: int, length: int) -> bytes | None:
        """Bytes of the disk; None if they are stored in a way that is not read here."""
        parts = []
        while length > 0:
            within = offset % (1 << self._bits)
            take = min(length, (1 << self._bits) - within)
            cluster = self._cluster(offset >> self._bits)
            if cluster is None:
                return None
            parts.append(cluster[within : within + take].ljust(take, b"\0"))
            offset, length = offset + take, length - take
        return b"".join(parts)

    def _cluster(self, number: int) -> bytes | None:
        if self._features & _EXTENDED:
            return None
        first, second = divmod(number, 1 << (self._bits - 3))
        if first >= self._l1_size:
            return b""
        table = self._word(self._l1 + 8 * first) & _OFFSET
        entry = self._word(table + 8 * second) if table else 0
        if entry & _COMPRESSED:
            return self._unpacked(entry)
        if entry & _ZERO or not entry & _OFFSET:
            return b""
        return self._at(entry & _OFFSET, 1 << self._bits)

    def _unpacked(self, entry: int) -> bytes | None:
        if self._features & _ZSTD:
            return None
        bits = 62 - (self._bits - 8)
        offset = entry & ((1 << bits) - 1)
        sectors = (entry >> bits) & ((1 << (self._bits - 8)) - 1)
        packed = self._at(offset, (sectors + 1) * 512 - offset % 512)
        try:
            return zlib.decompressobj(-15).decompress(packed, 1 << self._bits)
        except zlib.error as error:
            raise self._corrupt() from error

    def _word(self, offset: int) -> int:
        return int.from_bytes(self._at(offset, 8).ljust(8, b"\0"), "big")

    def _at(self, offset: int, length: int) -> bytes:
        self._file.seek(offset)
        return self._file.read(length)

    def _corrupt(self) -> BootError:
        return not_bootable(self._path, "corrupt qcow2 image", "make it anew")
