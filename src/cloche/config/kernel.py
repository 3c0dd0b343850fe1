"""``[kernel]`` of a machine's file: of what its kernel is built, and how it is configured.

What is done with it is in `cloche.portage.kernel` and `cloche.building.kernels`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.atoms import atom_fault
from cloche.config.errors import ConfigError, Origin, contradiction
from cloche.config.files import decode, read_bytes
from cloche.config.sets import Asked
from cloche.config.table import Table

KEYS: Final = ("sources", "dist", "config", "fragments", "keep_sources")
OF_SOURCES: Final = ("config", "fragments", "keep_sources")
#: The package that a kernel of sources becomes.
PACKAGE: Final = "sys-kernel/cloche-kernel"
DEFAULT: Final = "defconfig"

_TARGET: Final = re.compile(r"[a-z0-9_]+config")  # of the kernel's Makefile, as tinyconfig
_FILE: Final = re.compile(r"[\w+-][\w.+-]*(/[\w+-][\w.+-]*)*", re.ASCII)
_LINE: Final = re.compile(r"CONFIG_(\w+)=(.+)|# CONFIG_(\w+) is not set", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file of the project in the format of ``.config``; ``name`` is relative to the project."""

    name: str
    path: Path
    content: bytes


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of a machine: a package of ``sources``, or else a distribution kernel ``dist``.

    ``config`` is the file to begin with, or else ``target`` of the kernel's Makefile makes it;
    ``fragments`` go over it in their order. With ``keep_sources`` the sources stay in the machine.
    """

    origin: Origin
    sources: Asked | None = None
    dist: Asked | None = None
    config: ConfigFile | None = None
    target: str = DEFAULT
    fragments: tuple[ConfigFile, ...] = ()
    keep_sources: bool = False

    @property
    def package(self) -> Asked:
        """What the machine asks for, so that it has this kernel."""
        return self.dist or Asked(PACKAGE, self.origin)


def read_kernel(table: Table, root: Path) -> Kernel | None:
    """The machine's ``[kernel]``, None without one. Raises `ConfigError`."""
    if "kernel" not in table.data:
        return None
    kernel = table.table("kernel")
    kernel.only(KEYS)
    sources, dist = _atom(kernel, "sources"), _atom(kernel, "dist")
    if (sources is None) == (dist is None):
        what = "both “sources” and “dist”" if sources else "neither “sources” nor “dist”"
        todo = 'write one of them, as sources = "sys-kernel/gentoo-sources"'
        raise ConfigError(kernel.origin(), f"[kernel] has {what}", todo)
    if dist:
        for key in OF_SOURCES:
            if key in kernel.data:
                what = f"“{key}” has no effect on a distribution kernel"
                todo = "remove it, or build the kernel from `sources`"
                raise ConfigError(kernel.origin(key), what, todo)
    target, config = _config(kernel, root)
    fragments = tuple(_file(*item, root) for item in kernel.strings("fragments"))
    _check_agreement(fragments)
    keep = kernel.get("keep_sources", bool, False)
    return Kernel(kernel.origin(), sources, dist, config, target, fragments, keep)


def _atom(table: Table, key: str) -> Asked | None:
    if key not in table.data:
        return None
    text, origin = table.get(key, str, ""), table.origin(key)
    if fault := atom_fault(text):
        raise ConfigError(origin, f"“{text}” is not an atom", fault)
    return Asked(text, origin)


def _config(table: Table, root: Path) -> tuple[str, ConfigFile | None]:
    """A target of the kernel's Makefile, or a file of the project."""
    text = table.get("config", str, DEFAULT)
    if _TARGET.fullmatch(text) and not (root / text).exists():
        return text, None
    return "", _file(text, table.origin("config"), root)


def _file(text: str, origin: Origin, root: Path) -> ConfigFile:
    """A file with its lines checked. Raises `ConfigError`."""
    if not _FILE.fullmatch(text):
        what = f"“{text}” cannot be the name of a kernel's configuration"
        todo = "write a path below the project, of letters, digits, _ . + -"
        raise ConfigError(origin, what, todo)
    path = root / text
    if not path.exists():
        raise ConfigError(origin, f"no such file: {text}", "correct the path, or write the file")
    found = ConfigFile(text, path, read_bytes(path, root))
    said(found)
    return found


def said(file: ConfigFile) -> Mapping[str, tuple[str, Origin]]:
    """What a file says of each option, without ``CONFIG_``: its value, "n" where it is not set.

    Raises `ConfigError` for a line that the kernel's scripts would pass over.
    """
    return {name: (value, origin) for name, value, origin in _lines(file)}


def statement(line: str) -> tuple[str, str] | None:
    """The option of a line of ``.config``, without ``CONFIG_``, and its value; None for others."""
    found = _LINE.fullmatch(line.rstrip())
    return (found[1] or found[3], (found[2] or "n").strip()) if found else None


def _lines(file: ConfigFile) -> Iterator[tuple[str, str, Origin]]:
    for number, line in enumerate(decode(file.content, file.path).splitlines(), 1):
        origin, found = Origin(file.path, number), statement(line)
        if found:
            yield *found, origin
        elif line.strip() and not line.startswith("#"):
            what = f"“{line.strip()}” is not a line of a kernel's configuration"
            raise ConfigError(origin, what, "write CONFIG_NAME=VALUE or # CONFIG_NAME is not set")


def _check_agreement(fragments: tuple[ConfigFile, ...]) -> None:
    """Raise `ConfigError` for the first two fragments that disagree."""
    before: dict[str, tuple[str, Origin]] = {}
    for fragment in fragments:
        for name, (value, origin) in said(fragment).items():
            old, where = before.setdefault(name, (value, origin))
            if old != value:
                raise contradiction(origin, where, f"CONFIG_{name}", f"“{value}”", f"“{old}”")
