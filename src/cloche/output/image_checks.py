"""Whether a root has what an image of it needs, and fits into the image's partitions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from glob import escape

from cloche.building.finish_root import Presence, root_of
from cloche.config.errors import ConfigError
from cloche.config.images import Image, Qcow2
from cloche.config.machine import Machine
from cloche.config.mkosi import Mkosi
from cloche.config.mkosi_options import EXTENSIONS
from cloche.layers import Layer, Merged
from cloche.layers.merge import Node
from cloche.output.imaging import Imaging
from cloche.output.mkosi_tools import LOADERS, loaders

#: Names of kernels in /boot, before the version.
KERNELS = ("vmlinuz", "vmlinux", "kernel", "bzImage", "Image")
#: What a kernel starts from a root without an initramfs (Documentation/admin-guide/init.rst).
_INITS = ("sbin/init", "etc/init", "bin/init", "bin/sh")
#: And from an initramfs; mkosi adds /init where there is a systemd.
_FIRST = ("init", "usr/lib/systemd/systemd")
_INITRAMFS = ("boot/initramfs*", "boot/initrd*")  # with one of these the image may have an initrd
_BLOCK = 4096
_SPARE = 1.06  # what a file system has besides its content, by experience, at least


def bytes_of(nodes: Iterable[Node]) -> int:
    """What files need in whole blocks, without holes; hard links count once."""
    found, seen = 0, set()
    for node in nodes:
        inode = (node.info.st_dev, node.info.st_ino)
        if inode not in seen:
            seen.add(inode)
            found += min(node.info.st_blocks * 512, -(-node.info.st_size // _BLOCK) * _BLOCK)
    return found


def check_room(work: Imaging, needed: int, size: int, what: str, key: str) -> None:
    """Refuse a partition of that size for so many bytes. Raises `ConfigError`."""
    if needed * _SPARE > size:
        has = f"{what} {needed >> 20} MiB, too much for a partition of {size >> 20} MiB"
        raise ConfigError(work.image.origin, has, f"increase `{key}`, or leave it out")


def bytes_of_root(work: Imaging, below: str = "") -> int:
    """What the root needs, or a directory of it."""
    tree = Merged([layer.path for layer in work.root])
    top = tree.lookup(below.encode()) if below else None
    if below and (top is None or not top.is_directory):
        return 0
    return bytes_of(tree.walk(top))


@dataclass(frozen=True, slots=True)
class Start:
    """How the kernel of an image finds its first program.

    ``line`` is the kernel command line. With ``is_initrd`` the root is the initramfs; with
    ``initrds`` these choose the program.
    """

    line: str
    is_initrd: bool = False
    initrds: bool = False


def presences(machine: Machine, tools: Mapping[str, Layer]) -> Iterator[Presence]:
    """What a machine's images need in its root, as far as that is known before anything is built.

    `cloche.output.mkosi_checks` and `cloche.output.qcow2` check all of it in the finished root.
    """
    dracut = bool(machine.kernel and machine.kernel.initramfs)
    for image in machine.images:
        match image.format:
            case Mkosi() as wanted:
                if wanted.word not in EXTENSIONS:
                    yield os_release(image)
                if wanted.needs_kernel:
                    yield kernel(image)
                    if not loaders(tools[str(image.tools)]):
                        yield loader(image)
                    initrds = bool(wanted.initrds or dracut)
                    yield from _first(image, start_of(wanted, initrds=initrds))
            case Qcow2() as wanted:
                yield kernel_in_boot(image)
                yield from _first(image, Start(wanted.kernel_options, initrds=dracut))


def os_release(image: Image) -> Presence:
    """The file by which mkosi knows a distribution."""
    what = "the root has no usr/lib/os-release, which mkosi asks for"
    todo = "add sys-apps/baselayout, or use `files`"
    return Presence(("usr/lib/os-release",), image.origin, what, todo)


def kernel(image: Image) -> Presence:
    """A kernel beside its modules, or in /boot."""
    paths = ("usr/lib/modules/*/vmlinu[xz]*", "boot/vmlinuz-*")
    what = "the root has no kernel (usr/lib/modules/VERSION/vmlinuz), and the image is to boot"
    boot = " or leave out `Bootable`" if image.word == "disk" else ""
    todo = f"add a kernel to the machine, see docs/kernels.md{',' if boot else ''}{boot}"
    return Presence(paths, image.origin, what, todo, "sys-kernel")


def loader(image: Image) -> Presence:
    """systemd-boot and its stub, if the tools have neither."""
    what = f"neither the root nor the seed {image.tools} has systemd's EFI programs ({LOADERS})"
    todo = "add the package systemd-boot-efi to the seed, or systemd[boot] to the machine"
    return Presence((LOADERS,), image.origin, what, todo)


def kernel_in_boot(image: Image) -> Presence:
    """A kernel in /boot."""
    what = "kernel not found in /boot of the root (vmlinuz-VERSION)"
    todo = "add a kernel to the machine: docs/kernels.md"
    paths = tuple(f"boot/{name}-*" for name in KERNELS)
    return Presence(paths, image.origin, what, todo, "sys-kernel")


def start_of(wanted: Mkosi, *, initrds: bool) -> Start:
    """How the kernel of an image of mkosi's finds its first program."""
    is_initrd = wanted.word in ("uki", "esp")
    line = wanted.setting("KernelCommandLine") or ""
    return Start(line, is_initrd, initrds and not is_initrd)


def _first(image: Image, start: Start) -> Iterator[Presence]:
    for each in _inits(image, start):
        more = () if start.is_initrd else _INITRAMFS
        yield Presence((*map(escape, each.paths), *more), each.origin, each.what, each.todo)


def check_init(work: Imaging, start: Start) -> None:
    """Refuse a root without what its kernel would start. Raises `ConfigError`."""
    root = root_of([layer.path for layer in work.root])
    for each in _inits(work.image, start):
        if not any(map(root.has, each.paths)):
            raise each.missing()


def _inits(image: Image, start: Start) -> Iterator[Presence]:
    """What the kernel starts in the root: one of these has to be there."""
    option = "rdinit=" if start.is_initrd else "init="
    named = [w.removeprefix(option) for w in start.line.split() if w.startswith(option)]
    if named:
        what = f"{named[-1]}, which the kernel line names as {option[:-1]}, is not in the root"
        yield Presence((named[-1],), image.origin, what, "correct the path, or add the file")
    elif not start.initrds:
        usual = _FIRST if start.is_initrd else _INITS
        what = f"the root has nothing that its kernel starts ({', '.join(f'/{i}' for i in usual)})"
        todo = f"add openrc, systemd or busybox to the machine, or name a program by {option}PATH"
        yield Presence(usual, image.origin, what, todo)
