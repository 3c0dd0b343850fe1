"""``[kernel]`` of a machine's file: of what its kernel is built, and how it is configured.

What is done with it is in `cloche.portage.kernel` and `cloche.building.kernels`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.atoms import atom_fault
from cloche.config.errors import ConfigError, Origin, contradiction, unknown_name
from cloche.config.kernel_files import ConfigFile, read_config, said
from cloche.config.kernel_signing import (
    FRAGMENT,
    Signing,
    check_fragments,
    check_signing,
    read_signing,
)
from cloche.config.sets import Asked
from cloche.config.table import Table

KEYS: Final = (
    *("sources", "dist", "config", "fragments", "keep_sources"),
    *("signing", "initramfs", "dracut_options"),
)
OF_SOURCES: Final = ("config", "fragments", "keep_sources")
#: The package that a kernel of sources becomes.
PACKAGE: Final = "sys-kernel/cloche-kernel"
DEFAULT: Final = "defconfig"
INITRAMFS: Final = ("dracut",)
DRACUT: Final = "sys-kernel/dracut"

_TARGET: Final = re.compile(r"[a-z0-9_]+config")  # of the kernel's Makefile, as tinyconfig


@dataclass(frozen=True, slots=True)
class Kernel:
    """The kernel of a machine: a package of ``sources``, or else a distribution kernel ``dist``.

    ``config`` is the file to begin with, or else ``target`` of the kernel's Makefile makes it;
    ``fragments`` go over it in their order. With ``keep_sources`` the sources stay in the machine.
    ``signing`` signs its modules, and the program ``initramfs`` makes one, with ``options``.
    """

    origin: Origin
    sources: Asked | None = None
    dist: Asked | None = None
    config: ConfigFile | None = None
    target: str = DEFAULT
    fragments: tuple[ConfigFile, ...] = ()
    keep_sources: bool = False
    signing: Signing | None = None
    initramfs: str = ""
    options: tuple[str, ...] = ()

    @property
    def merged(self) -> tuple[ConfigFile, ...]:
        """The fragments, with what signing needs."""
        return (*self.fragments, *((FRAGMENT,) if self.signing and self.sources else ()))

    @property
    def package(self) -> Asked:
        """What the machine asks for, so that it has this kernel."""
        return self.dist or Asked(PACKAGE, self.origin)

    @property
    def packages(self) -> tuple[Asked, ...]:
        """All that the machine asks for because of its kernel."""
        return (self.package, *((Asked(DRACUT, self.origin),) if self.initramfs else ()))


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
    found = Kernel(
        kernel.origin(),
        sources,
        dist,
        config,
        target,
        tuple(read_config(*item, root) for item in kernel.strings("fragments")),
        kernel.get("keep_sources", bool, False),
        read_signing(kernel.table("signing"), root) if "signing" in kernel.data else None,
        *_initramfs(kernel),
    )
    _check_agreement(found.fragments)
    if found.signing and sources:
        check_fragments(found.signing, found.fragments)
        check_signing(found.signing, (*((config,) if config else ()), *found.fragments))
    return found


def _initramfs(table: Table) -> tuple[str, tuple[str, ...]]:
    """The program that makes the initramfs, "" for none, and its options."""
    word = table.get("initramfs", str, "")
    if word not in INITRAMFS and "initramfs" in table.data:
        raise unknown_name(table.origin("initramfs"), "initramfs", word, INITRAMFS)
    if not word and "dracut_options" in table.data:
        what = "“dracut_options” only has an effect with an initramfs"
        raise ConfigError(table.origin("dracut_options"), what, 'add initramfs = "dracut"')
    return word, tuple(text for text, _ in table.strings("dracut_options"))


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
    return "", read_config(text, table.origin("config"), root)


def _check_agreement(fragments: tuple[ConfigFile, ...]) -> None:
    """Raise `ConfigError` for the first two fragments that disagree."""
    before: dict[str, tuple[str, Origin]] = {}
    for fragment in fragments:
        for name, (value, origin) in said(fragment).items():
            old, where = before.setdefault(name, (value, origin))
            if old != value:
                raise contradiction(origin, where, f"CONFIG_{name}", f"“{value}”", f"“{old}”")
