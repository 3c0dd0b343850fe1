"""The architectures a Debian seed can be made for, in the words of each distribution."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from cloche.config.chost import cpu_of
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
