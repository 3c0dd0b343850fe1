"""The architectures of seeds, in the words of each distribution."""

from __future__ import annotations

import os
import platform
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cloche.config.chost import cpu_of
from cloche.config.elf_formats import ARCH_OF
from cloche.errors import Exit
from cloche.seeds.errors import SeedError


@dataclass(frozen=True, slots=True)
class Arch:
    """One architecture: Debian's name, Gentoo's ARCH and CHOST."""

    debian: str
    gentoo: str
    chost: str


# By `uname -m`. Only native seeds are made: another architecture needs emulation in every build.
_CHOSTS = {"x86_64": "x86_64-pc-linux-gnu", "aarch64": "aarch64-unknown-linux-gnu"}
ARCHES = {
    machine: Arch(cpu.debian, cpu.gentoo, chost)
    for machine, chost in _CHOSTS.items()
    if (cpu := cpu_of(chost)) is not None
}


def arch_of(root: Path) -> str | None:
    """Gentoo's ARCH of the shell in a root; None if there is none that we know.

    A root of another CPU than the host's is made for an interpreter, or for a CPU that the host's
    runs, too. Nothing is read through a link. Raises OSError.
    """
    for directory in ("usr/bin", "bin"):
        place = root / directory
        if place.is_symlink() or not place.is_dir():
            continue
        for name in ("bash", "dash", "busybox"):
            try:
                fd = os.open(place / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            with open(fd, "rb") as file:
                header = file.read(20) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
            if header[:4] == b"\x7fELF" and len(header) == 20:
                order: Literal["big", "little"] = "big" if header[5] == 2 else "little"
                return ARCH_OF.get(int.from_bytes(header[18:], order))
    return None


def host_arch(machine: str | None = None) -> Arch:
    """The architecture of this host, or of ``machine`` as ``uname -m`` says it.

    Raises `SeedError`.
    """
    machine = machine or platform.machine()
    if machine not in ARCHES:
        raise SeedError(
            f"there is no Debian seed for the architecture {machine!r}",
            todo=f"use one of {', '.join(ARCHES)}",
            status=Exit.HOST,
        )
    return ARCHES[machine]
