from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cloche.config.chost import cpu_of
from cloche.config.elf_formats import ARCH_OF, FORMATS
from cloche.seeds.arch import arch_of, host_arch


def root_with(tmp_path: Path, machine: int, *, big: bool = False) -> Path:
    """A root whose shell has such a header."""
    ident = b"\x7fELF" + bytes((2, 2 if big else 1, 1)) + bytes(9)
    order = "big" if big else "little"
    (tmp_path / "usr/bin").mkdir(parents=True)
    program = ident + (2).to_bytes(2, order) + machine.to_bytes(2, order)  # type: ignore[arg-type]
    (tmp_path / "usr/bin/bash").write_bytes(program)
    return tmp_path


@pytest.mark.parametrize(
    ("machine", "big", "arch"),
    [
        (3, False, "x86"),
        (183, False, "arm64"),
        (21, True, "ppc64"),
        (22, True, "s390"),
        (1, False, None),
    ],
)
def test_the_arch_of_a_root_is_that_of_its_shell(
    tmp_path: Path, machine: int, big: bool, arch: str | None
) -> None:
    assert arch_of(root_with(tmp_path, machine, big=big)) == arch


def test_the_shell_of_this_host_is_of_its_arch(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy("/bin/bash", tmp_path / "bin")
    assert arch_of(tmp_path) == host_arch().gentoo


def test_no_link_is_followed_and_no_fifo_waited_for(tmp_path: Path) -> None:
    assert arch_of(tmp_path) is None
    (tmp_path / "bin").symlink_to("/usr/bin")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/bash").symlink_to("/bin/bash")
    os.mkfifo(tmp_path / "usr/bin/dash")
    assert arch_of(tmp_path) is None


def test_every_cpu_that_can_be_emulated_has_an_arch() -> None:
    assert {elf.machine for elf in FORMATS.values()} == ARCH_OF.keys()
    for chost in ("i686", "x86_64", "aarch64", "riscv64", "powerpc64le"):
        cpu = cpu_of(f"{chost}-unknown-linux-gnu")
        assert cpu is not None
        assert ARCH_OF[cpu.elf] == cpu.gentoo
