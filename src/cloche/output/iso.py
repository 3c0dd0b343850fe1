"""An ISO 9660 medium with the root as a squashfs, which boots with GRUB from BIOS and UEFI.

It is a hybrid: as a disk it has a GPT with an EFI system partition and boots as well. The layout is
that of grub-mkrescue(1), without its HFS+; that program itself leaves times and random numbers in
an image.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from cloche.config.errors import ConfigError
from cloche.config.images import Iso
from cloche.layers import SOURCE_DATE_EPOCH, Merged, flatten
from cloche.output import grub, squashfs
from cloche.output.imaging import CONTENTS, GIVEN, IMAGE, OUT, Imaging, linked
from cloche.tasks.worker import make_directory

SUMS = "isoroot_b2sums"  # genkernel's and dracut's name for the digests of the medium
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"  # a partition with a file system of Linux
_ESP, _BOOT, _HYBRID = "efi.img", "boot/grub/i386-pc/eltorito.img", "boot_hybrid.img"
_SPREAD = 27  # bits of seconds, four years, by which the dates of volumes differ

Graft = tuple[str, str]
"""A name on the medium, and the path of its content in the sandbox."""


def make(work: Imaging) -> None:
    """Make the image. Raises StepError, ConfigError."""
    wanted = work.image.format
    assert isinstance(wanted, Iso)  # noqa: S101
    if wanted.squashfs:
        squashfs.pack(work, "root", wanted.squashfs_options)
    medium = make_directory(work.given, "medium")
    if work.files:
        flatten([layer.path for layer in work.files], medium)
    grafts = [("/", f"{GIVEN}/medium"), *_copies(work, wanted)]
    if wanted.squashfs:
        grafts.append((wanted.squashfs, f"{OUT}/root"))
    if wanted.verify:
        (work.given / SUMS).write_bytes(os.fsencode(_sums(work, grafts)))
        grafts.append((SUMS, f"{GIVEN}/{SUMS}"))
    options = ["-volid", wanted.volid, *_identity(work)]
    if Merged([medium]).lookup(grub.MENU.encode()) is not None:
        boot, how = _bootable(work)
        grafts += boot
        options += how
    if wanted.extra_partition:
        options += _extra_partition(work, wanted.extra_partition)
    (work.given / "paths").write_bytes(os.fsencode(_path_list(work, grafts)))
    work.run(
        *("/usr/bin/xorriso", "-as", "mkisofs", "-rational-rock", "-joliet", "-joliet-long"),
        *("-iso-level", "3", *options, "-output", f"{OUT}/{IMAGE}"),
        *("-graft-points", "-path-list", f"{GIVEN}/paths"),
    )
    work.run_into(CONTENTS, "/usr/bin/isoinfo", "-l", "-i", f"{OUT}/{IMAGE}")


def _copies(work: Imaging, wanted: Iso) -> Iterator[Graft]:
    """What `copy` takes from the root: the regular files of each path."""
    place = make_directory(work.given, "copies")
    count = 0
    for name, path in wanted.copy.items():
        found = work.last(path)
        if found is None:
            what = f"{path} not found in the root of {work.context.inputs.machine}"
            raise ConfigError(work.image.origin, what, "correct `copy`, or add the file")
        for node in found[0].walk(found[1]) if found[1].is_directory else [found[1]]:
            below = os.fsdecode(node.path).removeprefix(path.strip("/")).strip("/")
            if stat.S_ISREG(node.info.st_mode):
                linked(node, place / str(count))
                yield str(PurePosixPath(name, below)), f"{GIVEN}/copies/{count}"
                count += 1


def _sums(work: Imaging, grafts: list[Graft]) -> str:
    """The BLAKE2 digests of the files of these grafts, as b2sum(1) writes them."""
    found: dict[str, Path] = {}
    for name, path in grafts:
        top, base = (OUT, work.out) if path.startswith(f"{OUT}/") else (GIVEN, work.given)
        place = base / path.removeprefix(f"{top}/")
        if place.is_dir() and not place.is_symlink():
            for top, _, names in os.walk(place):
                for each in names:
                    found[str((Path(top) / each).relative_to(place))] = Path(top, each)
        else:
            found[name] = place
    lines = []
    for name, file in sorted(found.items()):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as content:
                digest = hashlib.file_digest(content, "blake2b").hexdigest()
            lines.append(sum_line(digest, name))
    return "".join(lines)


def _identity(work: Imaging) -> list[str]:
    """Dates and numbers of the volume. GRUB finds it by the date of its modification."""
    return [
        f"--modification-date={_stamp(work)}",
        *("--set_all_file_dates", f"={SOURCE_DATE_EPOCH}"),
        "--gpt_disk_guid",
        work.uuid("disk").replace("-", ""),
    ]


def _stamp(work: Imaging) -> str:
    seconds = SOURCE_DATE_EPOCH - work.number("date", _SPREAD)
    hundredths = work.number("hundredths", 32) % 100
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%d%H%M%S}{hundredths:02}"


def _bootable(work: Imaging) -> tuple[list[Graft], list[str]]:
    """More files and options for xorriso, which make the medium bootable."""
    stamp = _stamp(work)
    parts = (stamp[:4], *(stamp[at : at + 2] for at in range(4, 16, 2)))
    config = f"search.fs_uuid {'-'.join(parts)} root\nset prefix=($root)/boot/grub\n"
    modules = ("iso9660", "search_fs_uuid", "part_gpt", "part_msdos", "normal")
    made = grub.cores(work, config, modules)
    grafts = [(f"boot/grub/{name}", path) for name, path in grub.fonts_of(work)]
    for core in made:
        grafts += [(f"boot/grub/{name}", path) for name, path in grub.modules_of(work, core)]
    options: list[str] = []
    for core in made:
        if core.platform == grub.BIOS:
            grafts.append((_BOOT, f"{OUT}/{core.file}"))
            options += ["-eltorito-boot", _BOOT, "-no-emul-boot", "-boot-load-size", "4"]
            options += ["-boot-info-table", "--grub2-boot-info", "--grub2-mbr"]
            options += [f"/{grub.PLATFORMS}/{grub.BIOS}/{_HYBRID}"]
    if efi := [core for core in made if core.platform in grub.EFI]:
        grafts.append((_ESP, f"{OUT}/{_ESP}"))
        _esp(work, efi)
        options += ["--efi-boot", _ESP, "-efi-boot-part", "--efi-boot-image"]
        options += ["--protective-msdos-label", "--mbr-force-bootable"]
    return grafts, options


def _esp(work: Imaging, cores: list[grub.Core]) -> None:
    """The EFI system partition: a FAT as large as that of grub-mkrescue, or larger if needed."""
    image = f"{OUT}/{_ESP}"
    room = sum((work.out / core.file).lstat().st_size for core in cores)
    size = max(2880, 256 + room * 5 // 4 // 1024)
    serial = work.serial("esp")
    work.run("/usr/bin/mformat", "-C", "-T", str(size * 2), "-N", serial, "-i", image, "::")
    work.run("/usr/bin/mmd", "-i", image, "::/EFI", "::/EFI/BOOT")
    for core in cores:
        name = grub.EFI[core.platform]
        work.run("/usr/bin/mcopy", "-i", image, f"{OUT}/{core.file}", f"::/EFI/BOOT/{name}")


def _extra_partition(work: Imaging, size: int) -> list[str]:
    """Options for one more partition, an empty XFS; catalyst's fstab names it Appended3."""
    file = f"{OUT}/extra"
    work.run("/usr/bin/truncate", f"--size={size}", file)
    options = ("-q", "-m", f"uuid={work.uuid('extra')}", file)
    work.run(*work.still("extra random"), "/usr/sbin/mkfs.xfs", *options)
    return ["-append_partition", "3", LINUX, file]


def sum_line(digest: str, name: str) -> str:
    """A line as b2sum(1) writes it, which marks a name that it has to escape."""
    plain = name.replace("\\", "\\\\").replace("\n", "\\n")
    return f"{'' if plain == name else chr(92)}{digest}  ./{plain}\n"


def _path_list(work: Imaging, grafts: list[Graft]) -> str:
    for name, _ in grafts:
        if "\n" in name:
            what = f"a line's end in the name {name!r}, which a medium cannot have"
            raise ConfigError(work.image.origin, what, "correct `copy`, or rename the file")
    return "".join(f"{_escaped(name)}={_escaped(path)}\n" for name, path in grafts)


def _escaped(text: str) -> str:
    """A name in a list of graft points (xorrisofs(1))."""
    return text.replace("\\", "\\\\").replace("=", "\\=")
