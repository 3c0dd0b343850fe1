"""The seed with the programs that pack outputs, instead of those of the host or the stage."""

from __future__ import annotations

from typing import Any

#: Its name in the projects of specs. All declare it equally, so it is made once in a store.
NAME = "tools"

PACKAGES = (
    *("squashfs-tools", "squashfs-tools-ng", "xorriso", "genisoimage", "mtools", "dosfstools"),
    *("grub-common", "grub-pc-bin", "grub-efi-amd64-bin", "grub-efi-ia32-bin"),
    *("qemu-utils", "gdisk", "e2fsprogs", "libarchive13t64", "xfsprogs", "btrfs-progs", "faketime"),
    *("lbzip2", "lzip", "lzop", "pixz"),
)


def seed() -> dict[str, Any]:
    """The declaration of the seed: trixie is the first Debian whose mkfs.xfs copies attributes."""
    return {"type": "debian", "suite": "trixie", "packages": list(PACKAGES)}
