"""The headers of each CPU's ELF files, and the CPUs that also run programs of another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ElfFormat:
    """The format of a CPU's ELF files.

    ``machine`` is e_machine. ``flags`` are a mask for e_flags and the value under it: the ABIs of
    one CPU differ in it.
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

#: Gentoo's ARCH by e_machine.
ARCH_OF: Mapping[int, str] = {
    **{2: "sparc", 3: "x86", 4: "m68k", 8: "mips", 15: "hppa", 18: "sparc", 20: "ppc", 21: "ppc64"},
    **{22: "s390", 40: "arm", 42: "sh", 43: "sparc", 62: "amd64", 183: "arm64", 243: "riscv"},
    **{258: "loong", 0x9026: "alpha"},
}

#: Other programs that a CPU runs, by e_machine: x86 on x86-64, arm on aarch64, and so on.
_ALSO = {62: 3, 183: 40, 21: 20, 43: 2}


def programs_of(machine: int) -> frozenset[int]:
    """The e_machines of all programs that a CPU runs, by that of its own ones."""
    return frozenset((machine, _ALSO.get(machine, machine)))
