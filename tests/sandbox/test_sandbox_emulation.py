"""What is registered for programs of another CPU."""

from __future__ import annotations

from pathlib import Path

from cloche.sandbox.base import Bind, Emulator
from cloche.sandbox.emulation import bind, can_register, line

ARM64 = Emulator("aarch64", 64, 183, Path("/seed/qemu-aarch64-static"))


def test_the_line_is_that_of_qemus_own_script() -> None:
    """Magic and mask as in scripts/qemu-binfmt-conf.sh of QEMU."""
    magic = r"\x7f\x45\x4c\x46\x02\x01\x01" + r"\x00" * 9 + r"\x02\x00\xb7\x00"
    mask = r"\xff" * 7 + r"\x00" + r"\xff" * 8 + r"\xfe\xff\xff\xff"
    assert line(ARM64) == f":qemu-aarch64:M::{magic}:{mask}:/run/cloche/qemu-aarch64:PF"
    assert line(Emulator("arm", 32, 40, Path("/q"))).startswith(
        r":qemu-arm:M::\x7f\x45\x4c\x46\x01\x01\x01"
    )


def test_kernels_know_it_for_user_namespaces_since_6_7(tmp_path: Path) -> None:
    told = [
        can_register(each, tmp_path) for each in ("6.1.0-44-amd64", "6.7-rc1", "6.18.44", "7.0")
    ]
    assert told == [False, True, True, True]
    assert not can_register("6.18.44", tmp_path / "absent")


def test_the_emulator_is_where_the_line_says() -> None:
    assert bind(ARM64) == Bind(Path("/seed/qemu-aarch64-static"), "/run/cloche/qemu-aarch64")


def test_a_cpu_of_the_other_byte_order_has_its_numbers_turned() -> None:
    told = line(Emulator("s390x", 64, 22, Path("/q"), big_endian=True)).split(":")
    assert told[4] == r"\x7f\x45\x4c\x46\x02\x02\x01" + r"\x00" * 9 + r"\x00\x02\x00\x16"
    assert told[5] == r"\xff" * 7 + r"\x00" + r"\xff" * 9 + r"\xfe\xff\xff"


def test_abis_of_one_cpu_are_told_apart_by_e_flags() -> None:
    n32 = Emulator("mipsn32", 32, 8, Path("/q"), big_endian=True, flags=(0x20, 0x20))
    o32 = Emulator("mips", 32, 8, Path("/q"), big_endian=True, flags=(0x20, 0))
    magics, masks = ([line(each).split(":")[field] for each in (n32, o32)] for field in (4, 5))
    assert magics[0].endswith(r"\x00\x00\x00\x20")  # at 36, as elf.h has it for 32 bits
    assert magics[1].endswith(r"\x00\x00\x00\x00")
    assert {len(each) for each in magics + masks} == {4 * 40}
    assert masks[0] == masks[1]
    assert masks[0].endswith(r"\x00\x00\x00\x20")
