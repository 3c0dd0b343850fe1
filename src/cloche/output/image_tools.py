"""The programs that tools need for each format of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cloche.building.finish_root import root_of
from cloche.config.errors import ConfigError
from cloche.config.images import Erofs, Format, Image, Iso, Qcow2, Squashfs
from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import EXTENSIONS
from cloche.config.repart import defined
from cloche.layers import Layer
from cloche.output.grub import MENU, PLATFORMS

_SQUASHFS = {"usr/bin/tar2sqfs": "squashfs-tools-ng"}
_ISO = {"usr/bin/xorriso": "xorriso", "usr/bin/isoinfo": "genisoimage"}
_MKIMAGE = {"usr/bin/grub-mkimage": "grub-common"}
_GRUB = {**_MKIMAGE, f"{PLATFORMS}/*/moddep.lst": "grub-pc-bin and grub-efi-amd64-bin"}
_GRUB_UEFI = {**_MKIMAGE, f"{PLATFORMS}/*-efi/moddep.lst": "grub-efi-amd64-bin"}
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
#: Formats with partitions that systemd-repart makes.
REPART = ("disk", "esp", *EXTENSIONS)
#: The programs that mkosi runs, and Debian's packages that have them.
_MKOSI = {
    "usr/bin/mkosi": "mkosi",
    "usr/bin/unshare": "util-linux",
    "usr/bin/systemd-repart": "systemd-repart",
    "usr/bin/systemd-firstboot": "systemd",
    "usr/bin/ukify": "systemd-ukify",
    "usr/bin/bootctl": "systemd-boot-tools",
    "usr/sbin/mke2fs": "e2fsprogs",
    "usr/bin/mkfs.erofs": "erofs-utils",
    "usr/bin/mksquashfs": "squashfs-tools",
    "usr/sbin/mkfs.fat": "dosfstools",
    "usr/bin/mcopy": "mtools",
    "usr/bin/cpio": "cpio",
    "usr/bin/zstd": "zstd",
}
_FILLS = {"ext4": "usr/sbin/mke2fs", "erofs": "usr/bin/mkfs.erofs",
          "squashfs": "usr/bin/mksquashfs", "vfat": "usr/sbin/mkfs.fat"}  # fmt: skip
#: What systemd-firstboot does.
_FIRST_BOOT = (
    *("Hostname", "Keymap", "Locale", "LocaleMessages", "RootPassword", "RootShell", "Timezone"),
)


def check_programs(wanted: Sequence[tuple[Image, Layer, Mapping[str, str]]]) -> None:
    """Check that tools have the programs for images: by patterns of paths, with Debian's packages.

    Raises `ConfigError` with everything that a seed lacks.
    """
    missing: dict[str, dict[str, None]] = {}
    lacking: dict[str, list[Image]] = {}
    for image, tools, programs in wanted:
        tree = root_of([tools.path])
        packages = {programs[path]: None for path in programs if not tree.matches(path)}
        if packages:
            missing.setdefault(str(image.tools), {}).update(packages)
            lacking.setdefault(str(image.tools), []).append(image)
    for seed, images in lacking.items():
        formats = list(dict.fromkeys(image.word for image in images))
        words = "images of formats {} need" if len(formats) > 1 else "an image of format {} needs"
        what = f"the seed {seed} lacks what {words.format(', '.join(formats))}"
        todo = f"add to its packages: {', '.join(missing[seed])}"
        raise ConfigError(images[0].origin, what, todo)


def needed(format: Format) -> Mapping[str, str]:
    """The programs that make a format, with Debian's packages."""
    match format:
        case Mkosi():
            return {path: _MKOSI[path] for path in _of_mkosi(format)}
        case Squashfs():
            return _SQUASHFS
        case Iso():
            return {
                **_ISO,
                **(_SQUASHFS if format.squashfs else {}),
                **(_ROOTS["xfs"] if format.extra_partition else {}),
                **(_GRUB if any((each / MENU).exists() for each in format.files) else {}),
            }
        case Erofs():
            return {"usr/bin/mkfs.erofs": "erofs-utils"}
        case Qcow2():
            return {**_DISK, **_ROOTS[format.root_type], **_GRUB_UEFI}
    return {}


def _of_mkosi(wanted: Mkosi) -> Iterator[str]:
    yield from ("usr/bin/mkosi", "usr/bin/unshare")
    if any(wanted.setting(name) for name in _FIRST_BOOT):  # mkosi would only warn
        yield "usr/bin/systemd-firstboot"
    if wanted.word in REPART:
        yield "usr/bin/systemd-repart"
    if wanted.needs_kernel:
        yield from ("usr/bin/ukify", "usr/bin/cpio")
    if wanted.bootable:
        yield "usr/bin/bootctl"
    if wanted.bootable or wanted.word == "esp":
        yield from (_FILLS["vfat"], "usr/bin/mcopy")
    if wanted.word == "cpio":
        yield "usr/bin/cpio"
    if wanted.word == "disk" and not wanted.repart:
        yield _FILLS[wanted.root_type]
    if wanted.word in EXTENSIONS:
        yield _FILLS["erofs"]
    for lines in defined(wanted.repart).values():
        if program := _FILLS.get(lines.get("Format", "")):
            yield program
