"""``[output.images.NAME]`` of a machine file: a file system, a medium or a disk with its root."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path, PurePosixPath

from cloche.config.atoms import is_name
from cloche.config.errors import ConfigError, Origin, unknown_name
from cloche.config.files import project_directory
from cloche.config.mkosi import Mkosi, read_mkosi
from cloche.config.mkosi_options import FORMATS, refuse
from cloche.config.sizes import LARGEST, LARGEST_FAT, STEP, any_size, whole_size
from cloche.config.table import Table

#: File systems for the root of a disk (`output.qcow2`); the first is the default.
ROOT_TYPES = ("xfs", "ext4", "btrfs")
#: Names of outputs that are not images (`output.kinds`), and of the directory of packages.
TAKEN = ("packages", "stage4", "binpkgs")

_VOLID = 32  # characters of a volume ID (ECMA-119, 8.4.7)
_SMALLEST = 32 << 20  # bytes of an EFI system partition with FAT32 and clusters of one sector
_EXTRA = 300 << 20  # bytes: mkfs.xfs(8) makes no smaller one


@dataclass(frozen=True, slots=True)
class Squashfs:
    """A squashfs of the root. ``options`` are those of tar2sqfs(1)."""

    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Iso:
    """An ISO 9660 medium that boots with GRUB if ``boot/grub/grub.cfg`` is among its files.

    ``squashfs`` is the name of the root on it. ``files`` are directories of the project whose
    content it has, ``copy`` files or directories of the root by their name on the medium, where "."
    is its top. With ``verify`` it has the BLAKE2 digests of its files. ``extra_partition`` is the
    size in bytes of one more partition, an empty XFS.
    """

    volid: str
    squashfs: str = "image.squashfs"
    squashfs_options: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    copy: Mapping[str, str] = field(default_factory=dict)
    verify: bool = False
    extra_partition: int = 0


@dataclass(frozen=True, slots=True)
class Qcow2:
    """A disk in QEMU's format, with a GPT, an EFI system partition at /boot, and the root.

    Sizes are in bytes; ``root_type`` is a word of `ROOT_TYPES`, ``kernel_options`` are those of the
    boot menu besides root=.
    """

    size: int = 20 << 30
    efi_size: int = 512 << 20
    root_type: str = ROOT_TYPES[0]
    kernel_options: str = ""


@dataclass(frozen=True, slots=True)
class Oci:
    """An image for containers (OCI image-spec), with one layer for each group of packages.

    With ``squash`` all are one, without what a later layer hides or replaces. ``ref`` is its name
    and tag, "" for the machine's own. The others are the properties of the same
    names in the image's configuration (config.md there); ``ports`` are ExposedPorts.
    """

    ref: str = ""
    squash: bool = False
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    stop_signal: str = ""


@dataclass(frozen=True, slots=True)
class Erofs:
    """An EROFS of the root. ``options`` are those of mkfs.erofs(1)."""

    options: tuple[str, ...] = ()


Format = Squashfs | Iso | Qcow2 | Oci | Erofs | Mkosi


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a machine. ``tools`` is the seed whose programs make it, if any are needed."""

    name: str
    origin: Origin
    tools: str | None
    format: Format

    @property
    def word(self) -> str:
        """The word of the machine's file for its format."""
        if isinstance(self.format, Mkosi):
            return self.format.word
        return type(self.format).__name__.lower()

    @property
    def file(self) -> str:
        """Its name among the machine's outputs."""
        if isinstance(self.format, Mkosi):
            extension = self.format.extension
            return f"{self.name}.{extension}" if extension else self.name
        tar = ".tar" if isinstance(self.format, Oci) else ""
        return f"{self.name}.{self.word}{tar}"

    def takes(self, other: Image) -> bool:
        """Whether it, or what is made besides, has the name or the file of another image."""
        names = (other.name, other.file)
        lists = {f"{self.file}.contents", f"{self.name}-contents"}
        if self.file == other.file or lists & {*names}:
            return True
        return any(self._splits(name) for name in names)

    def _splits(self, file: str) -> bool:
        """Whether a file is one of those that it is divided into besides."""
        if not isinstance(self.format, Mkosi) or not file.startswith(self.name):
            return False
        return self.format.splits(file.removeprefix(self.name))

    @property
    def directories(self) -> tuple[Path, ...]:
        """The directories of the project that its table names."""
        if isinstance(self.format, Iso):
            return self.format.files
        repart = self.format.repart if isinstance(self.format, Mkosi) else None
        return (repart,) if repart else ()


def read_images(table: Table, root: Path, seeds: frozenset[str]) -> tuple[Image, ...]:
    """The images of ``[output]``. Raises `ConfigError`."""
    found = tuple(_image(name, each, root, seeds) for name, each in table.tables("images").items())
    for each in found:
        for other in found:
            if each is not other and each.takes(other):
                what = f"the images {each.name} and {other.name} would both be {other.file}"
                raise ConfigError(other.origin, what, "rename one of them")
    return found


def _image(name: str, table: Table, root: Path, seeds: frozenset[str]) -> Image:
    taken = name in TAKEN or name.startswith("stage4.")
    if not is_name(name) or taken:
        what = f"“{name}” is not a name for an image"
        todo = "it is another output's" if taken else "use letters, digits, _ . + -"
        raise ConfigError(table.origin(), what, todo)
    word = table.required("format", '"iso"')
    if word not in {*_READ, *FORMATS}:
        raise unknown_name(table.origin("format"), "format", word, {*_READ, *FORMATS})
    if word in FORMATS:
        read: Callable[[Table, Path], Format] = partial(read_mkosi, word)
    else:
        keys, read = _READ[word]
        known = ("format", *(["tools"] if word != "oci" else []), *keys)
        for option in table.data:
            if option not in known:
                refuse(table, word, option)
        table.only(known)
    if word == "oci":
        return Image(name, table.origin(), None, read(table, root))
    tools = table.required("tools", '"tools"')
    if tools not in seeds:
        raise unknown_name(table.origin("tools"), "seed", tools, seeds)
    return Image(name, table.origin(), tools, read(table, root))


def _options(table: Table, key: str) -> tuple[str, ...]:
    return tuple(text for text, _ in table.strings(key))


def _squashfs(table: Table, root: Path) -> Squashfs:
    return Squashfs(_options(table, "options"))


def _erofs(table: Table, root: Path) -> Erofs:
    return Erofs(_options(table, "options"))


def _iso(table: Table, root: Path) -> Iso:
    volid = table.required("volid", '"Gentoo-amd64"')
    if not 0 < len(volid) <= _VOLID or not volid.isprintable():
        what = f"“{volid}” is not a volume ID"
        raise ConfigError(table.origin("volid"), what, f"write 1 to {_VOLID} characters")
    squashfs = table.get("squashfs", str, "image.squashfs")
    _check_names(table, "squashfs", [squashfs] if squashfs else [])  # without a name it is left out
    if not squashfs and "squashfs_options" in table.data:
        what = "squashfs_options has no effect on a medium without the root"
        raise ConfigError(table.origin("squashfs_options"), what, "leave it out")
    copy = table.table("copy")
    _check_names(copy, None, [name for name in copy.data if name != "."])
    return Iso(
        volid=volid,
        squashfs=squashfs,
        squashfs_options=_options(table, "squashfs_options"),
        files=tuple(project_directory(*item, root) for item in table.strings("files")),
        copy={name: _in_root(copy, name) for name in copy.data},
        verify=table.get("verify", bool, False),
        extra_partition=any_size(table, "extra_partition", "an XFS", _EXTRA, LARGEST) or 0,
    )


def _check_names(table: Table, key: str | None, names: Iterable[str]) -> None:
    """Check that these can be names of files on a medium. Raises `ConfigError`."""
    for name in names:
        if not _on_medium(name):
            what = f"“{name}” is not a name on a medium"
            todo = 'write a relative path, as "boot/gentoo"'
            raise ConfigError(table.origin(key or name), what, todo)


def _on_medium(name: str) -> bool:
    """Whether a name stays on the medium and is in its shortest form."""
    parts = PurePosixPath(name).parts
    if not name.isprintable() or str(PurePosixPath(name)) != name:
        return False
    return bool(parts) and not {"/", ".", ".."} & set(parts)


def _in_root(table: Table, key: str) -> str:
    """A path of the root."""
    path = table.get(key, str, "")
    if not path.startswith("/") or ".." in PurePosixPath(path).parts or path == "/":
        what = f"“{path}” is not a path of the root"
        raise ConfigError(table.origin(key), what, 'write an absolute path, as "/boot/vmlinuz"')
    return path


def _qcow2(table: Table, root: Path) -> Qcow2:
    default = Qcow2()
    kind = table.get("root_type", str, default.root_type)
    if kind not in ROOT_TYPES:
        raise unknown_name(table.origin("root_type"), "file system", kind, ROOT_TYPES)
    whole = whole_size(table, "size", "a disk", STEP, LARGEST) or default.size
    part = "an EFI system partition"
    efi = whole_size(table, "efi_size", part, _SMALLEST, LARGEST_FAT) or default.efi_size
    if whole < efi + _SMALLEST:
        what = f"a disk of {whole >> 20} MiB is too small for a root"
        raise ConfigError(table.origin("size"), what, "increase size, or decrease efi_size")
    options = table.get("kernel_options", str, "")
    if not re.fullmatch(r"[\w.,:=@/+ -]*", options, re.ASCII):
        raise ConfigError(table.origin("kernel_options"), f"“{options}” cannot be in a boot menu")
    return Qcow2(whole, efi, kind, options)


def _oci(table: Table, root: Path) -> Oci:
    for key in ("ports", "volumes", "ref", "user", "working_dir", "stop_signal"):
        form, example = _OCI_FORMS[key]
        values = _options(table, key) if key in ("ports", "volumes") else (table.get(key, str, ""),)
        for value in filter(None, values):
            port = int(value.partition("/")[0]) if key == "ports" and form.fullmatch(value) else 1
            if not form.fullmatch(value) or not 0 < port < 1 << 16:
                what = f"“{value}” is not for `{key}` of an OCI image"
                raise ConfigError(table.origin(key), what, f"write it as {example}")
    return Oci(
        ref=table.get("ref", str, ""),
        squash=table.get("squash", bool, False),
        entrypoint=_options(table, "entrypoint"),
        cmd=_options(table, "cmd"),
        env=_texts(table, "env"),
        user=table.get("user", str, ""),
        working_dir=table.get("working_dir", str, ""),
        ports=_options(table, "ports"),
        volumes=_options(table, "volumes"),
        labels=_texts(table, "labels"),
        stop_signal=table.get("stop_signal", str, ""),
    )


def _texts(table: Table, key: str) -> Mapping[str, str]:
    """A table of texts by names."""
    found = table.table(key)
    for name in found.data:
        if not name or "=" in name or not name.isprintable():
            raise ConfigError(found.origin(name), f"“{name}” is not a name for `{key}`")
    return {name: found.get(name, str, "") for name in found.data}


#: A part of an image's name (github.com/distribution/reference).
_PART = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*"
#: What these keys of an OCI image may be, and an example.
_OCI_FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "ref": (
        re.compile(
            rf"([\w.-]+(:\d+)?/)?{_PART}(/{_PART})*:\w[\w.-]{{0,127}}",
            re.ASCII,
        ),
        '"example.org/web:1.0"',
    ),
    "ports": (re.compile(r"\d{1,5}(/(tcp|udp|sctp))?", re.ASCII), '"8080/tcp"'),
    "volumes": (re.compile(r"/[^\0]*"), 'an absolute path, "/var/lib/web"'),
    "working_dir": (re.compile(r"/[^\0]*"), 'an absolute path, "/srv"'),
    "user": (re.compile(r"[\w.-]+(:[\w.-]+)?", re.ASCII), '"web", "1000" or "1000:100"'),
    "stop_signal": (re.compile(r"SIG[A-Z0-9+-]+|\d+", re.ASCII), '"SIGTERM"'),
}

#: The keys of each format, and the function that reads them.
_READ: Mapping[str, tuple[tuple[str, ...], Callable[[Table, Path], Format]]] = {
    "squashfs": (("options",), _squashfs),
    "erofs": (("options",), _erofs),
    "iso": (
        ("volid", "squashfs", "squashfs_options", "files", "copy", "verify", "extra_partition"),
        _iso,
    ),
    "qcow2": (("size", "efi_size", "root_type", "kernel_options"), _qcow2),
    "oci": (tuple(each.name for each in fields(Oci)), _oci),
}
