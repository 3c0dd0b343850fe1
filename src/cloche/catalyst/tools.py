"""The seed with the programs that pack outputs, instead of those of the host or the stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Its name in the projects of specs. Those for one kind of CPU declare it equally, so it is made
#: once in a store.
NAME = "tools"

PACKAGES = (
    *("squashfs-tools", "squashfs-tools-ng", "xorriso", "genisoimage", "mtools", "dosfstools"),
    *("qemu-utils", "gdisk", "e2fsprogs", "libarchive13t64", "xfsprogs", "btrfs-progs", "faketime"),
    *("grub-common", "lbzip2", "lzip", "lzop", "pixz"),
    # Not needed for specs, but one seed so has the programs of all formats of images.
    *("mkosi", "systemd-repart", "systemd-ukify", "systemd-boot-efi", "erofs-utils", "kmod"),
    *("zstd", "cpio"),
)
PC = "x86"
#: GRUB's modules by `Subarch.cpu`. Debian has them in the architecture that they are for.
GRUB: Mapping[str, tuple[str, ...]] = {
    PC: ("grub-pc-bin:amd64", "grub-efi-amd64-bin:amd64", "grub-efi-ia32-bin:amd64"),
    "aarch64": ("grub-efi-arm64-bin:arm64",),
    "riscv64": ("grub-efi-riscv64-bin:riscv64",),
}
#: Why there is none for others, by what the names of their CPUs and subarchitectures begin with.
_WITHOUT = {
    "alpha": "they boot with aboot",
    "hppa": "they boot with palo",
    "loong": "Debian's trixie has no GRUB for it",
    "mips": "they boot with ARCS",
    "powerpc": "they boot with Open Firmware",
    "ppc": "they boot with Open Firmware",
    "sparc": "they boot with OpenBoot",
}


def seed(cpu: str = PC) -> dict[str, Any]:
    """The declaration of the seed: trixie is the first Debian whose mkfs.xfs copies attributes."""
    return {"type": "debian", "suite": "trixie", "packages": [*PACKAGES, *GRUB[cpu]]}


def why_not(cpu: str) -> str | None:
    """Why no medium or disk can be made for a CPU or a subarchitecture, if it is a known one."""
    known = (why for prefix, why in _WITHOUT.items() if cpu.startswith(prefix))
    return next(known, None)
