"""``chost``: the CPU and system that a machine is for, and what others call that CPU."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloche.config.elf_formats import FORMATS

_CHOST = re.compile(r"(?P<cpu>[a-z][a-z0-9_]*)-[a-z0-9_]+-linux-(gnu|musl)\w*")
_ARM = re.compile(r"arm(v[4-8][a-z]*)?")
_X86 = re.compile(r"i[3-6]86")


@dataclass(frozen=True, slots=True)
class Cpu:
    """A CPU: Gentoo's ARCH, Debian's architecture, QEMU's name. All are little-endian."""

    gentoo: str
    debian: str
    qemu: str

    @property
    def elf(self) -> int:
        """The e_machine of its ELF files."""
        return FORMATS[self.qemu].machine


_CPUS = {
    "aarch64": Cpu("arm64", "arm64", "aarch64"),
    "arm": Cpu("arm", "armhf", "arm"),
    "i686": Cpu("x86", "i386", "i386"),
    "loongarch64": Cpu("loong", "loong64", "loongarch64"),
    "powerpc64le": Cpu("ppc64", "ppc64el", "ppc64le"),
    "riscv64": Cpu("riscv", "riscv64", "riscv64"),
    "x86_64": Cpu("amd64", "amd64", "x86_64"),
}
KNOWN = ", ".join(_CPUS)
#: What the names of Debian's directories for several architectures begin with.
MULTIARCH = tuple("i386" if name == "i686" else name for name in _CPUS)


def cpu_of(chost: str) -> Cpu | None:
    """The CPU of a CHOST such as ``aarch64-unknown-linux-gnu``; None if it is not one we know."""
    found = _CHOST.fullmatch(chost)
    return _CPUS.get(_family(found["cpu"])) if found else None


def cpu_name(elf: int) -> str:
    """What a CHOST begins with for the CPU of an ELF file (e_machine)."""
    return next((name for name, cpu in _CPUS.items() if cpu.elf == elf), f"machine {elf}")


def same_platform(one: str, other: str) -> bool:
    """Whether two CHOSTs have the same CPU and ABI, so that one's programs run on the other."""
    return tool_prefixes(one)[1] == tool_prefixes(other)[1]


def tool_prefixes(chost: str) -> tuple[str, ...]:
    """What the names of its compilers may begin with: Gentoo's way, and Debian's triplet."""
    cpu, *_, abi = chost.split("-")
    return f"{chost}-", f"{_family(cpu)}-linux-{abi}-"


def _family(cpu: str) -> str:
    if _ARM.fullmatch(cpu):
        return "arm"
    return "i686" if _X86.fullmatch(cpu) else cpu
