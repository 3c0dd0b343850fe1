"""A disk in QEMU's format: GPT, an EFI system partition with GRUB at /boot, and the root.

Nothing is mounted: each file system is filled by the program that makes it, and the partitions are
put together in a sparse file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cloche.archives.listing import listing
from cloche.archives.tarformat import Member, TarReader
from cloche.config.images import Qcow2
from cloche.layers import Merged, Node
from cloche.output import copied_root, grub, xfs
from cloche.output.image_checks import (
    KERNELS,
    Start,
    bytes_of,
    bytes_of_root,
    check_init,
    check_room,
    kernel_in_boot,
)
from cloche.output.imaging import CONTENTS, GIVEN, IMAGE, OUT, Imaging
from cloche.tasks.task import ROOT

#: Labels of the two file systems, and names of the partitions.
EFI_LABEL, ROOT_LABEL = "gentooefi", "gentooroot"
MIB = 1 << 20
_KERNEL = re.compile(rf"(?:{'|'.join(KERNELS)})-(?P<version>.+)")
#: xfs_db always has status 0; it prints a line for each value, and other lines for errors.
_WRITE = """\
/usr/sbin/xfs_db -x "$3" < "$1" > "$2" 2>&1
if grep -v '^core[.]m' "$2"; then exit 1; fi
"""
_METADATA = 1 << 20  # bytes that may describe one member of a tarball
_INITRD = ("initramfs-{}.img", "initrd-{}", "initrd.img-{}", "initramfs-{}")


def make(work: Imaging) -> None:
    """Make the image. Raises StepError."""
    wanted = work.image.format
    assert isinstance(wanted, Qcow2)  # noqa: S101
    boot = tuple(_boot_files(work))
    kernels = kernels_in([os.fsdecode(node.path).removeprefix("boot/") for node in boot])
    _check(work, wanted, boot, kernels)
    # mkfs.xfs(8) would make an attribute of another name of an ACL.
    copied_root.pack(work, "--exclude=./boot/*", acls=wanted.root_type != "xfs")
    _esp(work, wanted, boot, kernels)
    _FILL[wanted.root_type](work, wanted.size - wanted.efi_size - 2 * MIB)
    _disk(work, wanted)
    work.run("/usr/bin/qemu-img", "convert", "-c", "-O", "qcow2", f"{OUT}/disk", f"{OUT}/{IMAGE}")
    with (work.out / CONTENTS).open("xb") as file:
        file.writelines(line + b"\n" for line in listing(work.made(copied_root.TARBALL)))


def _check(
    work: Imaging, wanted: Qcow2, boot: tuple[Node, ...], kernels: tuple[Kernel, ...]
) -> None:
    """Refuse a root that does not boot, or does not fit. Raises `ConfigError`."""
    if not kernels:
        raise kernel_in_boot(work.image).missing()
    check_init(work, Start(wanted.kernel_options, initrds=bool(kernels[0].initramfs)))
    inside = bytes_of(boot)
    check_room(work, inside, wanted.efi_size, "/boot has", "efi_size")
    room = wanted.size - wanted.efi_size - 2 * MIB
    check_room(work, bytes_of_root(work) - inside, room, "the root has", "size")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel in /boot, and its initramfs if it has one."""

    version: str
    file: str
    initramfs: str = ""


def kernels_in(names: list[str]) -> tuple[Kernel, ...]:
    """The kernels among the names in /boot, the newest first. A pure function."""
    found = []
    for name in names:
        if match := _KERNEL.fullmatch(name):
            initramfs = [each.format(match["version"]) for each in _INITRD]
            own = next((each for each in initramfs if each in names), "")
            found.append(Kernel(match["version"], name, own))
    return tuple(sorted(found, key=lambda kernel: _natural(kernel.version), reverse=True))


def _natural(text: str) -> list[tuple[int, int, str]]:
    """A key for sorting: numbers by their value, everything else by its letters."""
    parts = re.findall(r"\d+|\D+", text)
    return [(1, int(part), "") if part[0].isdigit() else (0, 0, part) for part in parts]


def menu(kernels: tuple[Kernel, ...], root: str, options: str) -> str:
    """The boot menu, also on the first serial line. A pure function."""
    lines = [
        "serial --unit=0 --speed=115200 --word=8 --parity=no --stop=1",
        "terminal_input serial console",
        "terminal_output serial console",
        "insmod gzio",  # kernels for ARM and RISC-V are compressed, and only GRUB unpacks them
        "set default=0",
        "set timeout=5",
        "",
    ]
    for kernel in kernels:
        title = f"menuentry 'Gentoo GNU/Linux, with Linux {kernel.version}' --class gentoo {{"
        words = f"root=PARTUUID={root} ro {options}".strip()
        lines += [title, f"\tlinux /{kernel.file} {words}"]
        lines += [f"\tinitrd /{kernel.initramfs}"] if kernel.initramfs else []
        lines += ["}", ""]
    return "\n".join(lines)


def _boot_files(work: Imaging) -> Iterator[Node]:
    """What is below /boot of the root, where the EFI system partition is mounted."""
    tree = Merged([layer.path for layer in work.root])
    directory = tree.lookup(b"boot")
    if directory and directory.is_directory:
        yield from (node for node in tree.walk(directory) if node.path != b"boot")


def _esp(work: Imaging, wanted: Qcow2, boot: tuple[Node, ...], kernels: tuple[Kernel, ...]) -> None:
    """The EFI system partition: the content of /boot, and GRUB where removable media have it."""
    image = f"{OUT}/esp"
    config = f"search.fs_label {EFI_LABEL} root\nset prefix=($root)/grub\n"
    modules = ("fat", "part_gpt", "search_label", "normal")
    made = grub.cores(work, config, modules, tuple(grub.EFI))
    (work.given / "grub.cfg").write_text(menu(kernels, work.uuid("root"), wanted.kernel_options))
    work.run("/usr/bin/truncate", f"--size={wanted.efi_size}", image)
    serial = work.serial("esp")
    work.run("/usr/sbin/mkfs.fat", "-F", "32", "-n", EFI_LABEL, "-i", serial, image)
    files = [(os.fsdecode(node.path).removeprefix("boot/"), f"{ROOT}/{os.fsdecode(node.path)}")
             for node in boot if not node.is_directory]  # fmt: skip
    files += [(f"EFI/BOOT/{grub.EFI[core.platform]}", f"{OUT}/{core.file}") for core in made]
    for core in made:
        files += [(f"grub/{name}", path) for name, path in grub.modules_of(work, core)]
    files += [(f"grub/{name}", path) for name, path in grub.fonts_of(work)]
    files.append(("grub/grub.cfg", f"{GIVEN}/grub.cfg"))
    _copy_to_fat(work, image, dict(files))


def _copy_to_fat(work: Imaging, image: str, files: dict[str, str]) -> None:
    """Copy files to a FAT by their names there, directory by directory; the last of a name wins."""
    by_directory: dict[str, list[tuple[str, str]]] = {}
    for name, path in sorted(files.items()):
        above, _, last = name.rpartition("/")
        by_directory.setdefault(above, []).append((last, path))
    made = {""}
    for directory, here in sorted(by_directory.items()):
        parts = directory.split("/")
        for count in range(1, len(parts) + 1):
            above = "/".join(parts[:count])
            if above not in made:
                work.run("/usr/bin/mmd", "-i", image, f"::/{above}")
                made.add(above)
        same = [path for last, path in here if path.rpartition("/")[2] == last]
        if same:
            work.run("/usr/bin/mcopy", "-o", "-i", image, *same, f"::/{directory}")
        for last, path in here:
            if path not in same:
                work.run("/usr/bin/mcopy", "-o", "-i", image, path, f"::/{directory}/{last}")


def _ext4(work: Imaging, size: int) -> None:
    tree, uuid = copied_root.unpack(work), work.uuid("file system")  # of a tarball it takes no ACLs
    work.run(
        *("/usr/sbin/mkfs.ext4", "-q", "-F", "-L", ROOT_LABEL, "-U", uuid),
        *("-E", f"hash_seed={work.uuid('hash')},root_owner=0:0", "-d", tree),
        *(f"{OUT}/root", f"{size // 1024}k"),
    )


def _btrfs(work: Imaging, size: int) -> None:
    tree = copied_root.unpack(work)
    work.run("/usr/bin/truncate", f"--size={size}", f"{OUT}/root")
    work.run(
        *work.still("random"),
        *("/usr/sbin/mkfs.btrfs", "-q", "-L", ROOT_LABEL, "-U", work.uuid("file system")),
        *("--rootdir", tree, f"{OUT}/root"),
    )


def _xfs(work: Imaging, size: int) -> None:
    # Contents need names without a space; the targets of links stay.
    tree = copied_root.unpack(work, f"--transform=s/ /{xfs.SPACE.decode()}/gS")
    try:
        _write_lines(work, "proto", xfs.protofile(_members(work), tree.encode()))
        _write_lines(work, "commands", xfs.commands(_members(work)))
    except ValueError as error:
        raise work.failed(f"{error}; use ext4") from error
    work.run("/usr/bin/truncate", f"--size={size}", f"{OUT}/root")
    work.run(
        *work.still("random"),
        *("/usr/sbin/mkfs.xfs", "-q", "-i", "nrext64=0", "-L", ROOT_LABEL),
        *("-m", f"bigtime=1,uuid={work.uuid('file system')}"),
        *("-p", f"file={GIVEN}/proto,slashes_are_spaces=1", f"{OUT}/root"),
    )
    work.run("/bin/sh", "-ec", _WRITE, "sh", f"{GIVEN}/commands", f"{OUT}/written", f"{OUT}/root")


def _members(work: Imaging) -> Iterator[Member]:
    """The members of the root's tarball."""
    file = work.made(copied_root.TARBALL)
    with file.open("rb") as stream:
        yield from TarReader(stream, file, _METADATA)


def _write_lines(work: Imaging, name: str, lines: Iterable[bytes]) -> None:
    with (work.given / name).open("xb") as file:
        file.writelines(line + b"\n" for line in lines)


_FILL = {"ext4": _ext4, "btrfs": _btrfs, "xfs": _xfs}


def _disk(work: Imaging, wanted: Qcow2) -> None:
    """The partitions in a sparse file."""
    disk, begin = f"{OUT}/disk", MIB // 512
    middle = begin + wanted.efi_size // 512
    work.run("/usr/bin/truncate", f"--size={wanted.size}", disk)
    work.run(
        *("/usr/sbin/sgdisk", f"--disk-guid={work.uuid('disk')}"),
        *(f"--new=1:{begin}:{middle - 1}", "--typecode=1:ef00", f"--change-name=1:{EFI_LABEL}"),
        f"--partition-guid=1:{work.uuid('esp')}",
        *(f"--new=2:{middle}:{(wanted.size - MIB) // 512 - 1}", "--typecode=2:8300"),
        *(f"--change-name=2:{ROOT_LABEL}", f"--partition-guid=2:{work.uuid('root')}", disk),
    )
    for file, sector in (("esp", begin), ("root", middle)):
        work.run(
            *("/bin/dd", f"if={OUT}/{file}", f"of={disk}", "bs=1M", "conv=sparse,notrunc"),
            *(f"seek={sector * 512 // MIB}", "status=none"),
        )
