"""Recognizes tarballs, images and file systems by their first bytes."""

from __future__ import annotations

from typing import Literal

from cloche.archives.decompression import is_compressed

Filesystem = Literal["squashfs", "ext", "xfs", "btrfs", "fat"]

HEAD = 66_000  # bytes; all of these are recognized within them
_TAR = 257, b"ustar"  # POSIX.1-2024, pax; also GNU's
_ISO = 32769, b"CD001"  # ECMA-119, 8.4.2
_QCOW2 = b"QFI\xfb"  # QEMU, docs/interop/qcow2.txt
_GPT = 512, b"EFI PART"  # UEFI, 5.3.2
_FILESYSTEMS: tuple[tuple[Filesystem, int, bytes], ...] = (
    ("squashfs", 0, b"hsqs"),
    ("xfs", 0, b"XFSB"),
    ("btrfs", 65600, b"_BHRfS_M"),
    ("ext", 1080, b"\x53\xef"),
    ("fat", 54, b"FAT1"),
    ("fat", 82, b"FAT32"),
)


def is_tarball(head: bytes) -> bool:
    """Whether it is a tarball, perhaps compressed. Its content may look like any of the others."""
    return is_compressed(head) or _has(head, *_TAR)


def is_iso(head: bytes) -> bool:
    """Whether it is an ISO image, including a hybrid one, which is also a disk image."""
    return _has(head, *_ISO)


def is_disk(head: bytes) -> bool:
    """Whether it is a disk image: qcow2, or plain with a GPT."""
    return head.startswith(_QCOW2) or _has(head, *_GPT)


def is_qcow2(head: bytes) -> bool:
    """Whether it is a qcow2 image."""
    return head.startswith(_QCOW2)


def filesystem(head: bytes) -> Filesystem | None:
    """The file system, or None if it is not one of `Filesystem`."""
    return next((form for form, at, mark in _FILESYSTEMS if _has(head, at, mark)), None)


def _has(head: bytes, at: int, mark: bytes) -> bool:
    return head[at : at + len(mark)] == mark
