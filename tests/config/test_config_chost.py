"""CHOSTs: which CPU they mean, and what the tools for them are called."""

from __future__ import annotations

import pytest

from cloche.config.chost import cpu_name, cpu_of, same_platform, tool_prefixes


@pytest.mark.parametrize(
    ("chost", "gentoo", "debian", "qemu"),
    [
        ("aarch64-unknown-linux-gnu", "arm64", "aarch64-linux-gnu-", "aarch64"),
        ("armv7a-unknown-linux-gnueabihf", "arm", "arm-linux-gnueabihf-", "arm"),
        ("arm-unknown-linux-gnueabi", "arm", "arm-linux-gnueabi-", "arm"),
        ("riscv64-unknown-linux-musl", "riscv", "riscv64-linux-musl-", "riscv64"),
        ("i586-pc-linux-gnu", "x86", "i686-linux-gnu-", "i386"),
        ("powerpc64le-unknown-linux-gnu", "ppc64", "powerpc64le-linux-gnu-", "ppc64le"),
    ],
)
def test_a_cpu_has_many_names(chost: str, gentoo: str, debian: str, qemu: str) -> None:
    cpu = cpu_of(chost)
    assert cpu is not None
    assert (cpu.gentoo, cpu.qemu) == (gentoo, qemu)
    assert tool_prefixes(chost) == (f"{chost}-", debian)


@pytest.mark.parametrize(
    "chost", ["aarch64", "aarch64-linux-gnu", "m68k-unknown-linux-gnu", "x86_64-pc-windows", "../x"]
)
def test_what_is_none_of_ours_is_refused(chost: str) -> None:
    assert cpu_of(chost) is None


def test_a_cpu_is_named_for_its_elf_files() -> None:
    assert (cpu_name(183), cpu_name(8)) == ("aarch64", "machine 8")


@pytest.mark.parametrize(
    ("chost", "same"),
    [
        ("x86_64-gentoo-linux-gnu", True),
        ("x86_64-pc-linux-musl", False),
        ("x86_64-pc-linux-gnux32", False),
        ("i686-pc-linux-gnu", False),
    ],
)
def test_the_vendor_does_not_make_another_platform(chost: str, same: bool) -> None:
    assert same_platform(chost, "x86_64-pc-linux-gnu") is same
