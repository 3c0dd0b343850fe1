"""What a file is that somebody wants to boot, by its content: a disk, a CD, a kernel, a root."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

from cloche.booting import cpus, qcow2
from cloche.booting.errors import BootError, not_bootable

Kind = Literal["disk", "cd", "efi", "kernel", "directory", "tarball"]

_SECTOR = 512
_CD_SECTOR = 2048
_EFI_PARTITION = bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b")  # as it lies in the table
_UEFI, _BIOS = "uefi", "bios"
_EL_TORITO = {0x00: _BIOS, 0xEF: _UEFI}  # platforms of boot catalogs
_PACKED = (b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd", b"LZIP", b"\x89LZO")
#: squashfs, XFS, erofs, ext4: where their magic numbers are.
_FILE_SYSTEMS = ((0, b"hsqs"), (0, b"XFSB"), (1024, b"\xe2\xe1\xf5\xe0"), (1080, b"\x53\xef"))
_TARBALL = re.compile(r"\.(tar(\.\w+)?|t[gx]z|tbz2?)$")
_MOST_PARTITIONS = 256
_MOST_OFFSET = 1 << 62  # that a file can have
_LOADERS = 8 << 20  # bytes of a medium's EFI image that are looked at


class Content(Protocol):
    """A disk's content; None is content that cannot be read without QEMU."""

    def read(self, offset: int, length: int, /) -> bytes | None:
        """Bytes at an offset."""


@dataclass(frozen=True, slots=True)
class Medium:
    """A file or directory to boot. ``firmware`` has the kinds that it boots from, the best first.

    ``format`` is QEMU's name for the format of a disk.
    """

    path: Path
    kind: Kind
    format: str = "raw"
    firmware: tuple[str, ...] = ()


def medium(path: Path) -> Medium:
    """Look into a file. Raises `BootError` for what cannot be booted, and OSError."""
    if path.is_dir():
        return Medium(path, "directory")
    if not (path.is_file() or path.is_block_device()):
        raise not_bootable(path, "neither a file nor a disk", "name an image")
    with path.open("rb") as file:
        return _medium(path, file)


def _medium(path: Path, file: BinaryIO) -> Medium:
    start = file.read(4096)
    file.seek(0)
    if start.startswith(qcow2.MAGIC):
        return Medium(path, "disk", "qcow2", _of_disk(path, qcow2.Qcow2(path, file)))
    if start[0x202:0x206] == b"HdrS":  # Documentation/arch/x86/boot.rst
        return Medium(path, "kernel")
    if start.startswith(b"MZ"):
        if (cpu := cpus.of_program(start)) not in ("", cpus.OURS):
            raise cpus.foreign(path, cpu)
        return Medium(path, "efi", firmware=(_UEFI,))
    raw = _Raw(file)
    if raw.read(16 * _CD_SECTOR + 1, 5) == b"CD001":
        return Medium(path, "cd", firmware=_of_cd(path, raw))
    if start[257:262] == b"ustar":
        return Medium(path, "tarball")
    if start.startswith(_PACKED):
        if not _TARBALL.search(path.name):
            raise not_bootable(
                path, "the image is compressed", "unpack it, and boot what was in it"
            )
        return Medium(path, "tarball")
    if not _has_boot_sector(start):
        raise _without_loader(path, start)
    return Medium(path, "disk", "raw", _of_disk(path, raw))


def data_disk(path: Path) -> Medium:
    """A disk beside a kernel that is named: it needs no loader. Raises `BootError`, OSError."""
    with path.open("rb") as file:
        if file.read(4) != qcow2.MAGIC:
            return Medium(path, "disk", "raw")
        file.seek(0)
        qcow2.Qcow2(path, file)
        return Medium(path, "disk", "qcow2")


class _Raw:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, offset: int, length: int) -> bytes:
        if offset > _MOST_OFFSET:
            return b""
        self._file.seek(offset)
        return self._file.read(length)


def _has_boot_sector(start: bytes) -> bool:
    return start[510:512] == b"\x55\xaa"


def _without_loader(path: Path, start: bytes) -> BootError:
    if any(start[at:].startswith(magic) for at, magic in _FILE_SYSTEMS):
        what = "a file system without a boot loader"
        todo = "name a kernel with --kernel, and its root with --kernel-args root=/dev/vda"
        return not_bootable(path, what, todo)
    what = "neither a disk, a CD, a kernel, an EFI program nor a root"
    todo = "name an image that a machine makes, or a disk (raw, qcow2), ISO, .efi or kernel"
    return not_bootable(path, what, todo)


def _of_disk(path: Path, disk: Content) -> tuple[str, ...]:
    """The firmware that can boot a disk, by its partitions and its master boot record."""
    first, table = disk.read(0, _SECTOR), disk.read(_SECTOR, _SECTOR)
    if first is None or table is None:
        return (_UEFI, _BIOS)
    found = []
    cpu = ""
    if place := _efi_partition(disk, first, table):
        cpu = cpus.of_partition(disk.read, *place)
        found += [_UEFI] if cpu in ("", cpus.OURS) else []
    if _has_boot_sector(first) and any(first[:440]):
        found.append(_BIOS)
    if not found and cpu:
        raise cpus.foreign(path, cpu)
    if not found:
        what = "the disk has neither an EFI system partition nor a boot loader"
        todo = "give its machine a boot loader, or name a kernel with --kernel"
        raise not_bootable(path, what, todo)
    return tuple(found)


def _efi_partition(disk: Content, first: bytes, table: bytes) -> tuple[int, int] | None:
    """Where the EFI system partition begins, and its size; both 0 if that cannot be read."""
    if table[:8] != b"EFI PART":
        entries = (first[at : at + 16] for at in range(446, 510, 16))
        found = next((entry for entry in entries if entry[4] == 0xEF), None)
        if found is None or not _has_boot_sector(first):
            return None
        begin, sectors = struct.unpack_from("<II", found, 8)
        return begin * _SECTOR, sectors * _SECTOR
    place, number, size = struct.unpack_from("<QII", table, 72)
    if size < 128 or size > _SECTOR * 8:
        return None
    content = disk.read(place * _SECTOR, size * min(number, _MOST_PARTITIONS))
    if content is None:
        return 0, 0
    for at in range(0, len(content), size):
        if content[at : at + 16] == _EFI_PARTITION:
            begin, end = struct.unpack_from("<QQ", content, at + 32)
            return begin * _SECTOR, max(0, end + 1 - begin) * _SECTOR
    return None


def _of_cd(path: Path, cd: _Raw) -> tuple[str, ...]:
    """The firmware that can boot a CD (El Torito 1.0)."""
    found: set[str] = set()
    cpu = ""
    for firmware, begin in _boot_entries(cd):
        if firmware == _UEFI:
            cpu = cpus.of_partition(cd.read, begin, _LOADERS)
        if firmware != _UEFI or cpu in ("", cpus.OURS):
            found.add(firmware)
    if not found and cpu:
        raise cpus.foreign(path, cpu)
    if not found:
        todo = "give the medium a boot loader (boot/grub/grub.cfg)"
        raise not_bootable(path, "the medium has no boot loader", todo)
    return tuple(sorted(found, reverse=True))  # uefi first


def _boot_entries(cd: _Raw) -> Iterator[tuple[str, int]]:
    """The firmware of each image in a CD's boot catalog, and where the image begins."""
    record = cd.read(17 * _CD_SECTOR, _CD_SECTOR)
    if record[7:30] != b"EL TORITO SPECIFICATION":
        return
    (sector,) = struct.unpack_from("<I", record, 71)
    catalog = cd.read(sector * _CD_SECTOR, _CD_SECTOR).ljust(_CD_SECTOR, b"\0")
    platforms = [(catalog[1], 32)] if catalog[32] == 0x88 else []
    place = 64
    while place < _CD_SECTOR - 32 and catalog[place] in (0x90, 0x91):
        platforms.append((catalog[place + 1], place + 32))
        place += 32 * (1 + int.from_bytes(catalog[place + 2 : place + 4], "little"))
    for platform, at in platforms:
        if platform in _EL_TORITO:
            begin = int.from_bytes(catalog[at + 8 : at + 12], "little")
            yield _EL_TORITO[platform], begin * _CD_SECTOR
