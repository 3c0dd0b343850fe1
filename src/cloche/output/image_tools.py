"""The programs that images need of their tools, and those of cloche's own formats."""

from __future__ import annotations

from collections.abc import Mapping

from cloche.building.finish_root import root_of
from cloche.config.errors import ConfigError
from cloche.config.images import Erofs, Format, Image, Iso, Qcow2, Squashfs
from cloche.layers import Layer

_SQUASHFS = {"usr/bin/tar2sqfs": "squashfs-tools-ng"}
_ISO = {"usr/bin/xorriso": "xorriso", "usr/bin/isoinfo": "genisoimage"}
_DISK = {
    "usr/sbin/sgdisk": "gdisk",
    "usr/sbin/mkfs.fat": "dosfstools",
    "usr/bin/mcopy": "mtools",
    "usr/bin/qemu-img": "qemu-utils",
}
_ROOTS = {
    "xfs": {"usr/sbin/mkfs.xfs": "xfsprogs", "usr/bin/faketime": "faketime"},
    "ext4": {"usr/sbin/mkfs.ext4": "e2fsprogs"},
    "btrfs": {"usr/sbin/mkfs.btrfs": "btrfs-progs", "usr/bin/faketime": "faketime"},
}


def check_programs(image: Image, tools: Layer, needed: Mapping[str, str]) -> None:
    """Check that tools have programs, which are by path and Debian's package.

    Raises `ConfigError`.
    """
    tree = root_of([tools.path])
    missing = {needed[path]: None for path in needed if not tree.has(path)}
    if missing:
        what = f"the seed {image.tools} lacks what an image of format {image.word} needs"
        raise ConfigError(image.origin, what, f"add to its packages: {', '.join(missing)}")


def needed(format: Format) -> Mapping[str, str]:
    """The programs for one of cloche's own formats, with Debian's packages."""
    match format:
        case Squashfs():
            return _SQUASHFS
        case Iso():
            return {**_ISO, **(_SQUASHFS if format.squashfs else {})}
        case Erofs():
            return {"usr/bin/mkfs.erofs": "erofs-utils"}
        case Qcow2():
            return {**_DISK, **_ROOTS[format.root_type]}
    return {}
