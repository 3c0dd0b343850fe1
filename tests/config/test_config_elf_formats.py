"""The ELF files of each CPU, and the programs that a CPU runs."""

from __future__ import annotations

import pytest

from cloche.config.elf_formats import FORMATS, programs_of


def test_no_two_cpus_have_the_same_files() -> None:
    assert len(set(FORMATS.values())) == len(FORMATS)


@pytest.mark.parametrize(
    ("machine", "programs"), [(62, {62, 3}), (3, {3}), (8, {8}), (43, {43, 2}), (21, {21, 20})]
)
def test_a_cpu_may_run_programs_of_another_one(machine: int, programs: set[int]) -> None:
    assert programs_of(machine) == programs
