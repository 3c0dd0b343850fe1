"""The options of images that mkosi makes, by its own names (mkosi(1)), and which are refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cloche.config.errors import ConfigError, unknown_name
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
#: The extension that mkosi adds, by the word for a compression.
COMPRESSION = {"no": "", "zstd": ".zst", "xz": ".xz", "gz": ".gz"}
#: What follows the image's name in those of `SplitArtifacts`.
ARTIFACTS = {
    "uki": re.compile(r"\.efi"),
    "kernel": re.compile(r"\.vmlinuz"),
    "initrd": re.compile(r"\.initrd"),
    "partitions": re.compile(r"(\.[\w-]+)+\.raw", re.ASCII),
}
_LEVELS = {"zstd": (1, 19), "xz": (0, 9), "gz": (1, 9)}
#: Formats whose whole file `CompressOutput` compresses.
OUTER = ("disk", "tar", "cpio", *EXTENSIONS)


def _yes(table: Table, name: str) -> str:
    return "yes" if table.get(name, bool, False) else "no"


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
    """Patterns of modules, without mkosi's own words."""
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
    if word in _LEVELS and not low <= found <= high:
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
    """The hash of a password; a plain one could be read in the image and in the project."""
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
    "Seed": Option("Output", _UUID, ("disk", "esp", *EXTENSIONS)),
    "SplitArtifacts": Option("Output", _some_of(*ARTIFACTS), (*_KERNEL, *EXTENSIONS)),
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


def refuse(table: Table, word: str, name: str) -> None:
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
