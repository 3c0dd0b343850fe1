"""Headers of ELF files: real ones that gcc makes, and whatever else there may be in their place."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.samples import made_elf
from tests.support import cannot

from cloche.audit.elf import Elf, read_elf

X86_64 = 62


def read(path: Path) -> Elf | None:
    with path.open("rb") as file:
        return read_elf(file)


def gcc(
    directory: Path, name: str, *options: str, text: str = "int main(void) { return 0; }"
) -> Path:
    (directory / "source.c").write_text(text)
    try:
        subprocess.run(
            ["gcc", "-o", directory / name, directory / "source.c", *options],
            check=True, capture_output=True,
        )  # fmt: skip
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        cannot(f"gcc {' '.join(options)}: {error}")
    return directory / name


def test_a_program_names_its_interpreter_libraries_and_runpath(tmp_path: Path) -> None:
    library = gcc(
        tmp_path, "libown.so.1", "-shared", "-fPIC", "-Wl,-soname,libown.so.1", text="int a;"
    )
    program = gcc(
        tmp_path, "program", "-Wl,--no-as-needed", str(library),
        "-Wl,-rpath,$ORIGIN/../lib:/opt/lib", "-Wl,--enable-new-dtags",
    )  # fmt: skip
    found = read(program)
    assert found is not None
    assert found.bits == 64
    assert found.interpreter.startswith("/")
    assert "libown.so.1" in found.needed
    assert any(name.startswith("libc.so") for name in found.needed)
    assert found.runpath == ("$ORIGIN/../lib", "/opt/lib")
    mine = read(library)
    assert mine is not None
    assert (mine.soname, mine.interpreter) == ("libown.so.1", "")


def test_an_old_rpath_counts_as_well(tmp_path: Path) -> None:
    found = read(gcc(tmp_path, "old", "-Wl,-rpath,/opt/old", "-Wl,--disable-new-dtags"))
    assert found is not None
    assert found.runpath == ("/opt/old",)


def test_a_static_program_needs_nothing(tmp_path: Path) -> None:
    found = read(gcc(tmp_path, "static", "-static"))
    assert found is not None
    assert (found.interpreter, found.needed, found.runpath) == ("", (), ())


@pytest.mark.parametrize("order", ["<", ">"])
def test_32_bits_and_the_other_byte_order(order: str) -> None:
    """Made by hand: few hosts have such a compiler."""
    whole = made_elf(order)
    assert read_elf(io.BytesIO(whole)) == Elf(
        32, 20, "/lib/ld", "libx.so.1", ("libx.so.1",), ("$ORIGIN",)
    )
    assert read_elf(io.BytesIO(whole[:0x190])) is None


def test_a_program_may_have_its_own_loader_or_be_one_itself(tmp_path: Path) -> None:
    pie = read(gcc(tmp_path, "pie", "-pie", "-fPIE", "-Wl,--dynamic-linker=/own/ld.so"))
    fixed = read(gcc(tmp_path, "fixed", "-no-pie"))
    static = read(gcc(tmp_path, "static-pie", "-static-pie"))
    assert pie is not None
    assert fixed is not None
    assert static is not None
    assert pie.interpreter == "/own/ld.so"
    assert fixed.needed == pie.needed
    assert (static.interpreter, static.needed) == ("", ())


def test_objects_are_not_loaded(tmp_path: Path) -> None:
    assert read(gcc(tmp_path, "object.o", "-c")) is None


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + b"\xff" * 200, b"\x7fELF" * 99]
)
def test_what_is_none_is_none(data: bytes) -> None:
    assert read_elf(io.BytesIO(data)) is None


def test_no_damage_makes_an_exception() -> None:
    """Each byte of the headers altered, the file cut anywhere."""
    whole = Path(sys.executable).resolve().read_bytes()
    start, chosen = whole[: 1 << 16], random.Random(4)
    assert read_elf(io.BytesIO(whole)) is not None
    for _ in range(3000):
        damaged = bytearray(start)
        for _ in range(chosen.randrange(1, 5)):
            damaged[chosen.choice((chosen.randrange(1000), chosen.randrange(len(start))))] = (
                chosen.randrange(256)
            )
        read_elf(io.BytesIO(bytes(damaged[: chosen.choice((chosen.randrange(1500), len(start)))])))
