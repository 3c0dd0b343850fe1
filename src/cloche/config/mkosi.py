"""The options of an image that mkosi makes, under mkosi's own names (mkosi(1))."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.config.errors import ConfigError, unknown_name
from cloche.config.files import project_directory
from cloche.config.repart import check_definitions
from cloche.config.sizes import LARGEST, LARGEST_FAT, STEP, whole_size
from cloche.config.system import HOSTNAME, ZONE
from cloche.config.table import Table

#: What mkosi makes, and the extension of its file; a directory has none.
FORMATS: Mapping[str, str] = {
    "disk": "raw",
    "uki": "efi",
    "esp": "raw",
    "tar": "tar",
    "directory": "",
    "cpio": "cpio",
    "sysext": "raw",
    "confext": "raw",
    "portable": "raw",
}
#: Formats that hold a part of a root, or a service, for another system.
EXTENSIONS = ("sysext", "confext", "portable")
#: File systems for the root of a disk, the default first, then that of a disk with verity.
ROOT_TYPES = ("ext4", "erofs", "squashfs")
#: The extension that mkosi adds, by the word for a compression.
COMPRESSION = {"no": "", "zstd": ".zst", "xz": ".xz", "gz": ".gz"}
#: What follows the image's name in those of `SplitArtifacts`.
_ARTIFACTS = {
    "uki": re.compile(r"\.efi"),
    "kernel": re.compile(r"\.vmlinuz"),
    "initrd": re.compile(r"\.initrd"),
    "partitions": re.compile(r"(\.[\w-]+)+\.raw", re.ASCII),
}
_LEVELS = {"zstd": (1, 19), "xz": (0, 9), "gz": (1, 9)}
_OUTER = ("disk", "tar", "cpio", *EXTENSIONS)
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
        outer = self.setting("CompressOutput") if self.word in _OUTER else ""
        return FORMATS[self.word] + COMPRESSION.get(outer or "no", "")

    @property
    def needs_kernel(self) -> bool:
        """Whether a kernel of the root becomes part of it."""
        return self.bootable or self.word in ("uki", "esp")

    def splits(self, rest: str) -> bool:
        """Whether an artifact was asked for whose name ends with this after the image's."""
        asked = filter(None, (self.setting("SplitArtifacts") or "").split(","))
        return any(_ARTIFACTS[each].fullmatch(rest) for each in asked)

    def setting(self, name: str) -> str | None:
        """A setting by its name, or None."""
        return self.settings.get(OPTIONS[name].section, {}).get(name)


def _yes(table: Table, name: str) -> str:
    return "yes" if table.get(name, bool, False) else "no"


def _text(table: Table, name: str) -> str:
    return _line(table, name, table.get(name, str, ""))


def _line(table: Table, name: str, text: str) -> str:
    """A text that is one line of a configuration file, or an item of a list there."""
    if not text.isprintable():
        raise ConfigError(table.origin(name), f"“{text}” cannot be a value of {name}")
    return text


def _by(delimiter: str) -> Callable[[Table, str], str]:
    def words(table: Table, name: str) -> str:
        items = [_line(table, name, text) for text, _ in table.strings(name)]
        for item in items:
            if delimiter in item and delimiter == ",":
                what = f"“{item}” has a comma, which {name} cannot have"
                raise ConfigError(table.origin(name), what)
        return delimiter.join(_quoted(item) for item in items)

    return words


def _quoted(item: str) -> str:
    """An item of a list by spaces, as the kernel reads it: with quotes of its own, or in quotes."""
    return f'"{item}"' if " " in item and '"' not in item else item


def _modules(table: Table, name: str) -> str:
    """Patterns of modules, but for words of mkosi's."""
    for text, origin in table.strings(name):
        if text in ("host", "default"):
            what = f"“{text}” in {name} depends on the host that makes the image"
            raise ConfigError(origin, what, "name the modules")
    return _by(",")(table, name)


def _number_of(*choices: int) -> Callable[[Table, str], str]:
    def number(table: Table, name: str) -> str:
        found = table.get(name, int, 0)
        if found not in choices:
            what = f"{found} is not a value of {name}"
            raise ConfigError(table.origin(name), what, f"use {', '.join(map(str, choices))}")
        return str(found)

    return number


def _level(table: Table, name: str) -> str:
    """The level of a compression."""
    word = table.get("CompressOutput", str, "zstd")
    low, high = _LEVELS.get(word, (0, 0))
    found = table.get(name, int, low)
    if not low <= found <= high:
        what = f"{found} is not a value of {name} with {word}"
        raise ConfigError(table.origin(name), what, f"use {low} to {high}")
    return str(found)


def _one_of(*choices: str) -> Callable[[Table, str], str]:
    def word(table: Table, name: str) -> str:
        text = table.get(name, str, "")
        if text not in choices:
            raise unknown_name(table.origin(name), f"value of {name}", text, choices)
        return text

    return word


def _some_of(*choices: str) -> Callable[[Table, str], str]:
    def words(table: Table, name: str) -> str:
        for text, origin in table.strings(name):
            if text not in choices:
                raise unknown_name(origin, f"value of {name}", text, choices)
        return ",".join(text for text, _ in table.strings(name))

    return words


def _like(pattern: str, example: str) -> Callable[[Table, str], str]:
    def text(table: Table, name: str) -> str:
        found = table.get(name, str, "")
        if not re.fullmatch(pattern, found, re.ASCII):
            what = f"“{found}” is not a value of {name}"
            raise ConfigError(table.origin(name), what, f"write it as {example}")
        return found

    return text


def _password(table: Table, name: str) -> str:
    """The hash of a password: the image and the project are no place for the password itself."""
    text = table.get(name, str, "")
    if not re.fullmatch(r"hashed:(\$[A-Za-z0-9]+\$[\w$./=,+-]+|[!*])", text, re.ASCII):
        what = "RootPassword is not a hash: anybody who has the image or the project could read it"
        todo = 'write "hashed:" and the output of `openssl passwd -6`; the image keeps this hash'
        raise ConfigError(table.origin(name), what, todo)
    return text


@dataclass(frozen=True, slots=True)
class Option:
    """An option of mkosi's: its section, how its value is read, the formats that it is for."""

    section: str
    read: Callable[[Table, str], str]
    formats: tuple[str, ...] = tuple(FORMATS)


_HOSTNAME = _like(rf"(?=.{{1,64}}\Z){HOSTNAME.pattern}", '"router"')
_WORD = _like(r"[\w.-]+", '"de-latin1"')
_LOCALE = _like(r"[A-Za-z][\w.@-]*", '"de_DE.UTF-8"')
_SHELL = _like(r"(/[\w.+-]+)+", '"/bin/bash"')
_ZONE = _like(ZONE.pattern, '"Europe/Berlin"')
_UUID = _like("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", '"3c0ab1a2-…", a UUID')
_ROOTS = ("disk", "uki", "esp", "tar", "directory", "cpio")
_FILES = tuple(word for word, extension in FORMATS.items() if extension)
_KERNEL = ("disk", "uki", "esp")
#: The options that are passed on, by their names.
OPTIONS: Mapping[str, Option] = {
    "CompressOutput": Option("Output", _one_of(*COMPRESSION), _FILES),
    "CompressLevel": Option("Output", _level, _FILES),
    "ImageId": Option("Output", _like(r"[a-z0-9][a-z0-9._-]*", '"router"')),
    "ImageVersion": Option("Output", _like(r"[\w.+~^-]+", '"1.0"')),
    "SectorSize": Option("Output", _number_of(512, 1024, 2048, 4096), ("disk", "esp", *EXTENSIONS)),
    "Seed": Option("Output", _UUID),
    "SplitArtifacts": Option("Output", _some_of(*_ARTIFACTS), (*_KERNEL, *EXTENSIONS)),
    "Autologin": Option("Content", _yes, _ROOTS),
    "Bootable": Option("Content", _yes, ("disk",)),
    "Bootloader": Option("Content", _one_of("none", "systemd-boot", "uki"), ("disk",)),
    "Hostname": Option("Content", _HOSTNAME, _ROOTS),
    "Initrds": Option("Content", _by(","), ("disk",)),
    "KernelCommandLine": Option("Content", _by(" "), _KERNEL),
    "KernelModulesExclude": Option("Content", _modules, _ROOTS),
    "KernelModulesInclude": Option("Content", _modules, _ROOTS),
    "KernelModulesInitrd": Option("Content", _yes, ("disk",)),
    "KernelModulesInitrdExclude": Option("Content", _modules, ("disk",)),
    "KernelModulesInitrdInclude": Option("Content", _modules, ("disk",)),
    "Keymap": Option("Content", _WORD, _ROOTS),
    "Locale": Option("Content", _LOCALE, _ROOTS),
    "LocaleMessages": Option("Content", _LOCALE, _ROOTS),
    "MakeInitrd": Option("Content", _yes, ("uki", "esp", "cpio")),
    "RemoveFiles": Option("Content", _by(",")),
    "RootPassword": Option("Content", _password, _ROOTS),
    "RootShell": Option("Content", _SHELL, _ROOTS),
    "Ssh": Option("Content", _yes, _ROOTS),
    "Timezone": Option("Content", _ZONE, _ROOTS),
    "UnifiedKernelImageFormat": Option("Content", _like(r"[\w&.+-]+", '"&e-&k"'), ("disk",)),
}

#: Why others are not: the reason and what to do, with the options it is for (a prefix: "X*").
_REFUSED: tuple[tuple[str, str, str], ...] = (
    (
        "the machine says what is in the root",
        "use its `packages`",
        "Packages BuildPackages VolatilePackages PackageDirectories VolatilePackageDirectories"
        " RemovePackages InitrdPackages InitrdVolatilePackages WithDocs WithRecommends"
        " CleanPackageMetadata Distribution Release Architecture Repositories",
    ),
    (
        "scripts run in the machine's root, before it becomes an image",
        "use the machine's `hooks`",
        "SyncScripts PrepareScripts BuildScripts PostInstallationScripts FinalizeScripts"
        " PostOutputScripts ConfigureScripts CleanScripts BuildSources BuildSourcesEphemeral"
        " BuildDirectory Environment EnvironmentFiles WithTests PassEnvironment",
    ),
    (
        "the machine says what is in the root",
        "use its `files`",
        "BaseTrees SkeletonTrees ExtraTrees SandboxTrees Overlay MachineId",
    ),
    ("its programs come from a pinned seed", "use `tools`", "ToolsTree* ExtraSearchPaths"),
    (
        "an image is made without network, or it would depend on what is there that day",
        "leave it out",
        "WithNetwork Mirror LocalMirror Repository* Proxy* CacheOnly",
    ),
    (
        "cloche keeps what it made by all of its inputs",
        "leave it out",
        "Incremental CacheDirectory PackageCacheDirectory WorkspaceDirectory UseSubvolumes History"
        " RepartOffline Format Output OutputDirectory OutputMode ManifestFormat SourceDateEpoch"
        " Include Profiles Dependencies MinimumVersion Checksum",
    ),
    (
        "a key or passphrase would be in the store: images cannot have secrets",
        "sign the image after it is made",
        "SecureBoot* VerityKey* VerityCertificate* SignExpectedPcr* Passphrase Sign Key",
    ),
    (
        "it would read this host",
        "name what is to be in the image",
        "KernelModulesIncludeHost KernelModulesInitrdIncludeHost MicrocodeHost SELinuxRelabel",
    ),
    (
        "it is a setting for running an image",
        "see `cloche boot --help`",
        "Ephemeral Credentials KernelCommandLineExtra Runtime* SshKey SshCertificate CPUs RAM KVM"
        " VSock* TPM CDROM Removable Firmware* Linux Drives QemuArgs VirtualMachineMonitor Console",
    ),
    ("mkosi's Gentoo has no use for it", "use `Bootloader`", "BiosBootloader ShimBootloader"),
)
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
            _refuse(table, word, name)
    table.only(("format", "tools", *own, *offered))
    settings: dict[str, dict[str, str]] = {}
    for name in sorted(table.data.keys() & set(offered)):
        settings.setdefault(OPTIONS[name].section, {})[name] = OPTIONS[name].read(table, name)
    found = Mkosi(word, settings, initrds=_initrds(table))
    found = _disk(found, table, root) if word == "disk" else found
    _check_effect(table, found)
    return found


def _check_effect(table: Table, found: Mkosi) -> None:
    """Refuse options about booting for an image that does not boot."""
    if found.needs_kernel:
        return
    artifacts = {text for text, _ in table.strings("SplitArtifacts")} - {"partitions"}
    options = (*_BOOTING, *(["SplitArtifacts"] if artifacts else []))
    for name in options:
        if name in table.data:
            words = f" ({', '.join(sorted(artifacts))})" if name == "SplitArtifacts" else ""
            what = f"{name}{words} has no effect on an image that does not boot"
            todo = "add Bootable = true" if found.word == "disk" else "leave it out"
            raise ConfigError(table.origin(name), what, todo)


def _refuse(table: Table, word: str, name: str) -> None:
    """Say why an option of mkosi's cannot be used, if it is one."""
    if name in OPTIONS:
        formats = ", ".join(OPTIONS[name].formats)
        what = f"{name} has no meaning for an image of format {word}"
        raise ConfigError(table.origin(name), what, f"it is for: {formats}")
    for why, todo, names in _REFUSED:
        if any(_named(name, each) for each in names.split()):
            raise ConfigError(table.origin(name), f"{name} cannot be used here: {why}", todo)


def _named(name: str, each: str) -> bool:
    return name.startswith(each[:-1]) if each.endswith("*") else name == each


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
    room = whole_size(table, "size", "a partition", STEP, LARGEST)
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
