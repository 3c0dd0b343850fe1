"""Machines for another CPU than the seed's: what of the seed builds and runs their programs."""

from __future__ import annotations

import hashlib
import platform
import stat
from dataclasses import dataclass
from pathlib import Path

from cloche.building.compilers import listed
from cloche.config.chost import Cpu, cpu_of, same_platform, tool_prefixes
from cloche.config.machine import Machine
from cloche.layers import Layer
from cloche.sandbox import emulation
from cloche.seeds.arch import ARCHES
from cloche.seeds.interpreters import emulators_in
from cloche.tasks.guestcall import GUEST
from cloche.tasks.task import Cross

#: Of tools that are built over the seed, for its own CPU: flags of the machine's may not fit.
FLAGS = dict.fromkeys(("CFLAGS", "CXXFLAGS", "FCFLAGS", "FFLAGS"), "-O2 -pipe")
#: What only such machines use of the guest's code: it is part of their keys alone.
CROSS_SCRIPTS = ("cross.py",)
_PROGRAMS = "usr/bin"


@dataclass(frozen=True, slots=True)
class Crossing:
    """A machine's CPU, and what its seed has for it.

    ``tools`` are for the tasks of its packages; they have no compilers where ``found`` is false.
    ``unusable`` says why an emulator cannot be used on this host, whether the seed has one or not.
    """

    cpu: Cpu
    tools: Cross
    found: bool
    key_parts: dict[str, str]
    unusable: str | None = None

    @property
    def for_seed(self) -> dict[str, str]:
        """Portage's variables for tools that are built over the seed."""
        return {"CHOST": self.tools.cbuild, "CBUILD": self.tools.cbuild, **FLAGS}


def crossing(machine: Machine, seed: Layer, interpreters: Layer | None = None) -> Crossing | None:
    """Look into the seed of a machine with a ``chost``, unless it is for the seed's own CPU.

    ``interpreters`` run the seed if it is for another CPU than the host's.
    """
    cpu, own = cpu_of(machine.chost) if machine.chost else None, build_chost(interpreters)
    if machine.chost is None or cpu is None or same_platform(machine.chost, own):
        return None
    names = frozenset(listed(seed.path, _PROGRAMS) or ())
    prefixes = tool_prefixes(machine.chost)
    tools = next((p for p in prefixes if {f"{p}gcc", f"{p}clang"} & names), None)
    emulator = _emulator(cpu, seed.path, names)
    usable = emulation.can_register(platform.release())
    cross = Cross(machine.chost, own, tools or prefixes[0], seed.id, emulator if usable else None)
    why = None if usable else "this host's kernel cannot register one for a sandbox alone"
    return Crossing(cpu, cross, tools is not None, _key_parts(cross, seed.path), why)


def build_chost(interpreters: Layer | None = None) -> str:
    """The CHOST of the seed: for the CPU that its interpreters emulate, or for this host's."""
    emulators = emulators_in(interpreters.path) if interpreters else ()
    cpu = emulators[0].name if emulators else platform.machine()
    return ARCHES[cpu].chost if cpu in ARCHES else f"{cpu}-unknown-linux-gnu"


def _emulator(cpu: Cpu, tree: Path, names: frozenset[str]) -> str | None:
    for name in (f"qemu-{cpu.qemu}-static", f"qemu-{cpu.qemu}"):
        if name in names and stat.S_ISREG((tree / _PROGRAMS / name).lstat().st_mode):
            return f"{_PROGRAMS}/{name}"
    return None


def _key_parts(cross: Cross, tree: Path) -> dict[str, str]:
    """Without the compilers, which the seed's layers stand for. --strict hides the emulator."""
    code = b"".join((GUEST / name).read_bytes() for name in CROSS_SCRIPTS)
    parts = {
        "cross": " ".join((cross.chost, cross.cbuild, cross.tools)),
        "cross flags": " ".join(f"{name}={value}" for name, value in FLAGS.items()),
        "cross guest": hashlib.sha256(code).hexdigest(),
    }
    if cross.emulator is not None:
        with (tree / cross.emulator).open("rb") as file:
            parts["emulator"] = hashlib.file_digest(file, "sha256").hexdigest()
    return parts
