"""The CPU of an image, as far as its UEFI programs tell: `cloche boot` emulates only x86-64.

Boot programs are found by their names in the FAT at the beginning of a partition. An image without
such names is booted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from cloche.booting.errors import BootError, not_bootable

OURS = "x86-64"
#: Machine types of programs (PE format), and the names of programs as a FAT has them (UEFI 3.5.1);
#: of a name with more than eight characters, the short one.
_MACHINES = {0x8664: OURS, 0xAA64: "aarch64", 0x5064: "riscv64", 0x6264: "loongarch64"}
_PROGRAMS = {
    b"BOOTX64 EFI": OURS,
    b"BOOTAA64EFI": "aarch64",
    b"BOOTRI~1EFI": "riscv64",
    b"BOOTLO~1EFI": "loongarch64",
}
#: What emulates them, and Debian's package of it.
_EMULATORS = {
    "aarch64": ("qemu-system-aarch64", "qemu-system-arm"),
    "riscv64": ("qemu-system-riscv64", "qemu-system-misc"),
    "loongarch64": ("qemu-system-loongarch64", "qemu-system-misc"),
}
_ENTRY = 32  # bytes of an entry of a directory
_PART, _MOST = 4 << 20, 64 << 20  # bytes that are read at once, and at most


def of_program(start: bytes) -> str:
    """The CPU of a program for UEFI by its first bytes; "" if it is not known."""
    (header,) = struct.unpack_from("<I", start.ljust(64, b"\0"), 0x3C)
    if start[header : header + 4] != b"PE\0\0":
        return ""
    return _MACHINES.get(int.from_bytes(start[header + 4 : header + 6], "little"), "")


def of_partition(read: Callable[[int, int], bytes | None], begin: int, size: int) -> str:
    """The CPU of an EFI system partition, which begins at an offset of what is ``read``.

    "" if it is not known. One that is for ours and others is for ours.
    """
    found = ""
    for offset in range(begin, begin + min(size, _MOST), _PART):
        part = read(offset, min(_PART, begin + size - offset))
        if not part:
            break
        for name, cpu in _PROGRAMS.items():
            if _is_entry(part, name):
                if cpu == OURS:
                    return cpu
                found = found or cpu
    return found


def _is_entry(part: bytes, name: bytes) -> bool:
    at = part.find(name)
    while at >= 0 and at % _ENTRY:
        at = part.find(name, at + 1)
    return at >= 0


def foreign(path: Path, cpu: str) -> BootError:
    """The error for an image of another CPU."""
    program, package = _EMULATORS[cpu]
    todo = f"start it with {program} (Debian: {package}); `cloche boot` emulates only {OURS}"
    return not_bootable(path, f"it is for {cpu}", todo)
