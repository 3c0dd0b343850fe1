"""What an image of mkosi's needs of the tools and of the root, checked before it is made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from cloche.config import repart
from cloche.config.errors import ConfigError, unknown_name
from cloche.config.images import Image
from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import EXTENSIONS
from cloche.layers import Layer, Merged
from cloche.layers.merge import Node
from cloche.output import mkosi_tools
from cloche.output.image_checks import (
    bytes_of,
    bytes_of_root,
    check_init,
    check_room,
    kernel,
    loader,
    os_release,
    start_of,
)
from cloche.output.image_tools import REPART
from cloche.output.imaging import Imaging
from cloche.output.mkosi_tools import LOADERS, loaders
from cloche.output.qcow2 import kernels_in

_MODULES = b"usr/lib/modules"
_LISTS = (b"/modules.dep", b"/modules.dep.bin", b"/modules.symbols", b"/modules.symbols.bin")
_MODULE = re.compile(rb"\.ko(\.\w+)?$")
_OLDEST_MKOSI = 25
_OLDEST = 254  # of systemd, for mkosi 25
_LISTED = 257  # of systemd, whose keys are all here
_OLD = """
Type Label UUID Priority Weight PaddingWeight SizeMinBytes SizeMaxBytes PaddingMinBytes
PaddingMaxBytes CopyBlocks Format CopyFiles ExcludeFiles ExcludeFilesTarget MakeDirectories Encrypt
Verity VerityMatchKey FactoryReset Flags NoAuto ReadOnly GrowFileSystem SplitName Minimize
"""
#: The version of systemd-repart that brought a key, as repart.d(5) has it.
_SINCE = {
    **dict.fromkeys(_OLD.split(), _OLDEST),
    "Subvolumes": 255,
    "VerityDataBlockSizeBytes": 255,
    "VerityHashBlockSizeBytes": 255,
    "DefaultSubvolume": 256,
    "EncryptedVolume": 256,
    "MountPoint": 256,
    "Compression": 257,
    "CompressionLevel": 257,
    "MakeSymlinks": 257,
    "SupplementFor": 257,
    "AddValidateFS": 258,
}
#: File systems that systemd-repart makes as large as their content needs.
_GROWS = ("", "ext4", "xfs", "btrfs", "vfat")


def check(work: Imaging, wanted: Mkosi) -> None:
    """Check all of it. Raises `ConfigError`."""
    tree = Merged([layer.path for layer in work.root])
    if wanted.word not in EXTENSIONS and tree.lookup(b"usr/lib/os-release") is None:
        raise os_release(work.image).missing()
    if wanted.needs_kernel:
        _check_kernel(work, tree)
        if not work.in_root(LOADERS) and not loaders(work.tools):
            raise loader(work.image).missing()
    for path in wanted.initrds or (own_initrds(work) if wanted.bootable else ()):
        if work.regular(path) is None:
            where = " of `Initrds`" if wanted.initrds else ""
            what = f"{path}{where} is not a file in the root of {work.context.inputs.machine}"
            raise ConfigError(work.image.origin, what, "correct the path, or add the file")
    if wanted.needs_kernel:
        check_init(work, start_of(wanted, initrds=bool(wanted.initrds or any(own_initrds(work)))))
    _check_rooms(work, wanted)


def _check_rooms(work: Imaging, wanted: Mkosi) -> None:
    """Refuse partitions that cannot hold what is to be in them."""
    if wanted.size is not None:
        check_room(work, bytes_of_root(work), wanted.size, "the root has", "size")
    if wanted.word == "disk" and wanted.bootable and not wanted.repart:
        files = [found for path in wanted.initrds if (found := work.regular(path))]
        needed = bytes_of_root(work, "boot") + bytes_of([*files, *_kernels(work)])
        what = "kernels, initrds and /boot have"
        check_room(work, needed, wanted.efi_size, what, "efi_size")
    for name, lines in repart.defined(wanted.repart).items():
        most = repart.bytes_of(lines, "SizeMaxBytes")
        holds_root = lines.get("CopyFiles") in ("/", "/:/")
        if most is not None and holds_root and lines.get("Format", "") in _GROWS:
            check_room(work, bytes_of_root(work), most, "the root has", f"SizeMaxBytes of {name}")


def _kernels(work: Imaging) -> Iterator[Node]:
    """The kernels beside their modules."""
    tree = Merged([layer.path for layer in work.root])
    modules = tree.lookup(_MODULES)
    for version in tree.children(modules) if modules and modules.is_directory else ():
        if version.is_directory:
            yield from (node for node in tree.children(version) if _is_kernel(node.path))


def check_versions(image: Image, wanted: Mkosi, tools: Layer) -> None:
    """Check that the tools' mkosi and systemd are new enough. Raises `ConfigError`."""
    mkosi = mkosi_tools.mkosi_version(tools)
    if mkosi is not None and mkosi < _OLDEST_MKOSI:
        what = f"mkosi {mkosi} of the seed {image.tools} is too old"
        raise ConfigError(image.origin, what, f"use a seed with mkosi {_OLDEST_MKOSI} or later")
    if wanted.word in REPART or wanted.needs_kernel:
        _check_version(image, wanted, mkosi_tools.systemd_version(tools))


def _check_version(image: Image, wanted: Mkosi, version: int | None) -> None:
    tools, origin = image.tools, image.origin
    if version is not None and version < _OLDEST:
        what = f"systemd {version} of the seed {tools} is too old for mkosi"
        raise ConfigError(origin, what, f"use a seed with systemd {_OLDEST} or later")
    for file, lines in repart.defined(wanted.repart).items():
        for key in lines:
            if version is not None and version <= _LISTED and key not in _SINCE:
                raise unknown_name(origin, f"key of {file}", key, _SINCE)
            if version is not None and _SINCE.get(key, 0) > version:
                what = (
                    f"{key} in {file} needs systemd {_SINCE[key]}; the seed {tools} has {version}"
                )
                raise ConfigError(origin, what, "leave the line out, or use a newer seed")


def _check_kernel(work: Imaging, tree: Merged) -> None:
    """Check that mkosi will find a kernel in the root, or in /boot for modules that are there."""
    modules = tree.lookup(_MODULES)
    versions = tree.children(modules) if modules and modules.is_directory else []
    for version in (node for node in versions if node.is_directory):
        if any(_is_kernel(node.path) for node in tree.children(version)):
            return
        name = os.fsdecode(version.path.rpartition(b"/")[2])
        if tree.lookup(f"boot/vmlinuz-{name}".encode()):
            return
    raise kernel(work.image).missing()


def missing_lists(work: Imaging) -> Iterator[str]:
    """The lists of modules that kernels without modules lack: mkosi would have depmod make them.

    Raises `ConfigError` where there are modules, and no depmod.
    """
    tree = Merged([layer.path for layer in work.root])
    modules = tree.lookup(_MODULES)
    versions = tree.children(modules) if modules and modules.is_directory else []
    for version in (node for node in versions if node.is_directory):
        missing = [version.path + name for name in _LISTS if not tree.lookup(version.path + name)]
        if not missing:
            continue
        if not any(_MODULE.search(node.path) for node in tree.walk(version)):
            yield from map(os.fsdecode, missing)
        elif not any(tree.lookup(path) for path in (b"usr/bin/depmod", b"usr/sbin/depmod")):
            what = f"{os.fsdecode(missing[0])} is missing, and the root has no depmod to make it"
            raise ConfigError(work.image.origin, what, "add sys-apps/kmod to the machine")


def _is_kernel(path: bytes) -> bool:
    return path.rpartition(b"/")[2].startswith((b"vmlinuz", b"vmlinux"))


def own_initrds(work: Imaging) -> Iterator[str]:
    """The initramfs in /boot that belongs to the machine's only kernel, if there is one."""
    tree = Merged([layer.path for layer in work.root])
    boot = tree.lookup(b"boot")
    nodes = tree.children(boot) if boot and boot.is_directory else []
    names = [os.fsdecode(node.path.rpartition(b"/")[2]) for node in nodes]
    kernels = [kernel for kernel in kernels_in(names) if kernel.initramfs]
    if len(kernels) == 1:
        yield f"/boot/{kernels[0].initramfs}"
