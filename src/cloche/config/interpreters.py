"""``interpreter``: programs of QEMU's user mode, by whose names the CPU is known that each runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from cloche.config.errors import ConfigError, Origin


@dataclass(frozen=True, slots=True)
class ElfFormat:
    """What the headers of a CPU's ELF files have.

    ``machine`` is e_machine. ``flags`` are a mask for e_flags, and the value under it, by which the
    ABIs of one CPU differ.
    """

    bits: int
    machine: int
    big_endian: bool = False
    flags: tuple[int, int] | None = None


_ABI2 = 0x20  # EF_MIPS_ABI2: of n32

#: By QEMU's name. The numbers are those of elf.h.
FORMATS: Mapping[str, ElfFormat] = {
    "aarch64": ElfFormat(64, 183),
    "aarch64_be": ElfFormat(64, 183, big_endian=True),
    "alpha": ElfFormat(64, 0x9026),
    "arm": ElfFormat(32, 40),
    "armeb": ElfFormat(32, 40, big_endian=True),
    "hppa": ElfFormat(32, 15, big_endian=True),
    "i386": ElfFormat(32, 3),
    "loongarch64": ElfFormat(64, 258),
    "m68k": ElfFormat(32, 4, big_endian=True),
    "mips": ElfFormat(32, 8, big_endian=True, flags=(_ABI2, 0)),
    "mips64": ElfFormat(64, 8, big_endian=True),
    "mips64el": ElfFormat(64, 8),
    "mipsel": ElfFormat(32, 8, flags=(_ABI2, 0)),
    "mipsn32": ElfFormat(32, 8, big_endian=True, flags=(_ABI2, _ABI2)),
    "mipsn32el": ElfFormat(32, 8, flags=(_ABI2, _ABI2)),
    "ppc": ElfFormat(32, 20, big_endian=True),
    "ppc64": ElfFormat(64, 21, big_endian=True),
    "ppc64le": ElfFormat(64, 21),
    "riscv32": ElfFormat(32, 243),
    "riscv64": ElfFormat(64, 243),
    "s390x": ElfFormat(64, 22, big_endian=True),
    "sh4": ElfFormat(32, 42),
    "sh4eb": ElfFormat(32, 42, big_endian=True),
    "sparc": ElfFormat(32, 2, big_endian=True),
    "sparc32plus": ElfFormat(32, 18, big_endian=True),
    "sparc64": ElfFormat(64, 43, big_endian=True),
    "x86_64": ElfFormat(64, 62),
}
_NAME = re.compile(r"qemu-(\w+?)(-static)?")


def cpu_of_interpreter(path: str) -> str | None:
    """QEMU's name for the CPU whose programs a program such as ``/usr/bin/qemu-arm`` runs.

    None if that is not a name of QEMU's, or not of a CPU that we know.
    """
    found = _NAME.fullmatch(PurePath(path).name)
    return found[1] if found and found[1] in FORMATS else None


def check_interpreter(path: str, origin: Origin) -> None:
    """See that it is known which programs an interpreter runs. Raises `ConfigError`."""
    if cpu_of_interpreter(path) is None:
        raise ConfigError(
            origin,
            f"“{path}” is not called qemu-CPU or qemu-CPU-static",
            f"name a program of QEMU's user mode; CPU is one of {', '.join(FORMATS)}",
        )
