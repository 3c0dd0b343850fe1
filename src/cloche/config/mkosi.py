"""An image that mkosi makes, as a machine's file describes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.config.errors import ConfigError, unknown_name
from cloche.config.files import project_directory
from cloche.config.mkosi_options import ARTIFACTS, COMPRESSION, FORMATS, OPTIONS, OUTER, refuse
from cloche.config.repart import check_definitions
from cloche.config.sizes import LARGEST, LARGEST_FAT, whole_size
from cloche.config.table import Table

#: File systems for the root of a disk, the default first, then that of a disk with verity.
ROOT_TYPES = ("ext4", "erofs", "squashfs")
_SMALLEST_EXT4 = 32 << 20  # bytes: systemd-repart makes none smaller
_SMALLEST = 40 << 20  # bytes of an EFI system partition: FAT32 with clusters of one sector


@dataclass(frozen=True, slots=True)
class Mkosi:
    """An image made by mkosi.

    ``settings`` are lines of its configuration by section and name. ``repart`` is a directory of
    the project with definitions of partitions (repart.d(5)). Without it a disk has a root of
    ``root_type`` and, if it boots, an EFI system partition of ``efi_size`` bytes. ``size`` is that
    of the root's partition, None for what its content needs.
    """

    word: str
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    repart: Path | None = None
    root_type: str = ROOT_TYPES[0]
    size: int | None = None
    efi_size: int = 512 << 20
    bootable: bool = False
    verity: bool = False
    initrds: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """The extension of its file."""
        outer = self.setting("CompressOutput") if self.word in OUTER else ""
        return FORMATS[self.word] + COMPRESSION.get(outer or "no", "")

    @property
    def needs_kernel(self) -> bool:
        """Whether a kernel of the root becomes part of it."""
        return self.bootable or self.word in ("uki", "esp")

    def splits(self, rest: str) -> bool:
        """Whether an artifact was asked for whose name ends with this after the image's."""
        asked = filter(None, (self.setting("SplitArtifacts") or "").split(","))
        return any(ARTIFACTS[each].fullmatch(rest) for each in asked)

    def setting(self, name: str) -> str | None:
        """A setting by its name, or None."""
        return self.settings.get(OPTIONS[name].section, {}).get(name)


_BOOTING = (
    *("Bootloader", "Initrds", "KernelCommandLine", "UnifiedKernelImageFormat", "efi_size"),
    *("KernelModulesInitrd", "KernelModulesInitrdInclude", "KernelModulesInitrdExclude"),
)
_OWN = ("root_type", "size", "efi_size")


def read_mkosi(word: str, table: Table, root: Path) -> Mkosi:
    """The keys of a format of mkosi's. Raises `ConfigError`."""
    own = ("repart", "Verity", *_OWN) if word == "disk" else ()
    offered = [name for name, option in OPTIONS.items() if word in option.formats]
    for name in table.data:
        if name not in ("format", "tools", *own, *offered):
            refuse(table, word, name)
    table.only(("format", "tools", *own, *offered))
    settings: dict[str, dict[str, str]] = {}
    for name in sorted(table.data.keys() & set(offered)):
        settings.setdefault(OPTIONS[name].section, {})[name] = OPTIONS[name].read(table, name)
    found = Mkosi(word, settings, initrds=_initrds(table))
    found = _disk(found, table, root) if word == "disk" else found
    _check_effect(table, found)
    return found


def _check_effect(table: Table, found: Mkosi) -> None:
    """Refuse options that change nothing. Raises `ConfigError`."""
    for name, word, why, todo in _ineffective(table, found):
        what = f"{name} ({word})" if word else name
        if name in table.data:
            raise ConfigError(table.origin(name), f"{what} has no effect {why}", todo)


def _ineffective(table: Table, found: Mkosi) -> Iterator[tuple[str, str, str, str]]:
    """Options without effect, or words of theirs; why, and what to do."""
    if not found.needs_kernel:
        todo = "add Bootable = true" if found.word == "disk" else "leave it out"
        for name in _BOOTING:
            yield name, "", "on an image that does not boot", todo
    elif found.setting("Bootloader") == "none":
        for name in ("KernelCommandLine", "UnifiedKernelImageFormat"):
            yield name, "", "without a boot loader", "leave it out, or choose another Bootloader"
    if found.setting("KernelModulesInitrd") != "yes":
        for name in ("KernelModulesInitrdInclude", "KernelModulesInitrdExclude"):
            yield name, "", "on its own", "add KernelModulesInitrd = true"
    without = "no" if found.word in OUTER else "zstd"
    if (found.setting("CompressOutput") or without) == "no":
        todo = 'add CompressOutput, such as "zstd"'
        yield "CompressLevel", "", "on what is not compressed", todo
    for word, _ in table.strings("SplitArtifacts"):
        if word == "partitions":
            if found.word == "uki":
                yield "SplitArtifacts", word, "on an image without partitions", "leave it out"
        elif not found.needs_kernel:
            todo = "add Bootable = true" if found.word == "disk" else "leave it out"
            yield "SplitArtifacts", word, "on an image that does not boot", todo
        elif word == "uki" and found.word == "uki":
            yield "SplitArtifacts", word, "on an image that is one", "leave it out"
        elif word == "uki" and found.setting("Bootloader") == "none":
            yield "SplitArtifacts", word, "without a boot loader", "leave it out"


def _initrds(table: Table) -> tuple[str, ...]:
    for text, origin in table.strings("Initrds"):
        if not text.startswith("/") or ".." in text.split("/"):
            what = f"“{text}” is not a path of the root"
            raise ConfigError(origin, what, 'write an absolute path, as "/boot/initramfs.img"')
    return tuple(text for text, _ in table.strings("Initrds"))


def _disk(found: Mkosi, table: Table, root: Path) -> Mkosi:
    verity = _verity(table)
    default = ROOT_TYPES[1] if verity else ROOT_TYPES[0]
    kind = table.get("root_type", str, default)
    if kind not in ROOT_TYPES:
        raise unknown_name(table.origin("root_type"), "file system", kind, ROOT_TYPES)
    repart = None
    if text := table.optional("repart", str):
        repart = project_directory(text, table.origin("repart"), root)
        boots = table.get("Bootable", bool, False) and table.get("Bootloader", str, "") != "none"
        check_definitions(repart, table, ("Verity", *_OWN), boots)
    room = whole_size(table, "size", "an ext4", _SMALLEST_EXT4, LARGEST)
    part = "an EFI system partition"
    efi = whole_size(table, "efi_size", part, _SMALLEST, LARGEST_FAT) or found.efi_size
    if room is not None and verity:
        what = "a root with Verity is as large as its content"
        raise ConfigError(table.origin("size"), what, "leave out `size`")
    if room is not None and kind != "ext4":
        what = f"a root of type {kind} is as large as its content"
        raise ConfigError(table.origin("size"), what, "leave out `size`")
    return Mkosi(
        word=found.word,
        settings=found.settings,
        repart=repart,
        root_type=kind,
        size=room,
        efi_size=efi,
        bootable=table.get("Bootable", bool, False),
        verity=verity,
        initrds=found.initrds,
    )


def _verity(table: Table) -> bool:
    """Whether the root has a partition of hashes; with signatures a private key would be needed."""
    value = table.get("Verity", str, "no")
    if value not in ("hash", "no"):
        what = f"“{value}” is not for `Verity`: a signature needs a private key, a secret"
        raise ConfigError(
            table.origin("Verity"), what, 'write "hash": the kernel line has the root'
        )
    return value == "hash"
