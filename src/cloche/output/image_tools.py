"""The programs that cloche's own formats of images need of the tools, with Debian's packages."""

from __future__ import annotations

from collections.abc import Mapping

from cloche.config.errors import ConfigError
from cloche.config.images import Erofs, Format, Image, Iso, Qcow2, Squashfs
from cloche.layers import Layer, Merged

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


def check_programs(image: Image, tools: Layer) -> None:
    """Check that the tools have what an image needs. Raises `ConfigError`."""
    tree = Merged([tools.path])
    needed = _needed(image.format)
    missing = {needed[path]: None for path in needed if not _has(tree, path)}
    if missing:
        word = type(image.format).__name__.lower()
        what = f"the seed {image.tools} lacks what an image of format {word} needs"
        raise ConfigError(image.origin, what, f"add to its packages: {', '.join(missing)}")


def _needed(format: Format) -> Mapping[str, str]:
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


def _has(tree: Merged, path: str) -> bool:
    """Whether a program is there, in either directory of programs."""
    name = path.rpartition("/")[2]
    places = (f"{top}/{name}" for top in ("usr/bin", "usr/sbin", "bin", "sbin"))
    return any(tree.lookup(place.encode()) is not None for place in places)
