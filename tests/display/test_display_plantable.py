"""The table of a plan: flags in their groups, what is gone, the sum."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.values import package

from cloche.display.plantable import Row, as_table
from cloche.display.theme import make_theme
from cloche.plan.changes import Change, changed_since
from cloche.plan.depgraph import Depgraph, Package

PROFILE: dict[str, Any] = {
    "use_expand": ("ABI_MIPS", "ABI_X86", "PYTHON_TARGETS", "PYTHON"),
    "use_expand_hidden": ("ABI_MIPS",),
}


def changed(new: Package, *old: Package) -> Change:
    return changed_since(Depgraph((new,), **PROFILE), Depgraph(old), frozenset())[new.id]


def test_flags_stand_in_their_groups_and_the_hidden_ones_are_hidden() -> None:
    flags = ("abi_mips_n32", "abi_x86_64", "doc", "python_targets_a", "python_targets_b")
    new = package(iuse=flags, use=("abi_x86_64", "python_targets_b"), fixed=("abi_mips_n32",))
    row = Row("build", new.cpv, "0", "r", changed(new), 2048, ("live",))
    line = as_table([row], ["cat/old-1"], make_theme(colour=False))
    assert line == [
        '[build    N    ] c/a-1::r USE="-doc" ABI_X86="64" PYTHON_TARGETS="b -a" 2.0 KiB  (live)',
        "[gone          ] cat/old-1",
        "",
        "1 package: 1 to build (1 new, 1 gone); 2.0 KiB to fetch",
    ]
    # A hidden flag is the only reason: without it nobody would know why.
    old = replace(new, use=("abi_mips_n32", *new.use))
    assert [*changed(new, old).shown] == ["USE", "ABI_X86", "PYTHON_TARGETS", "ABI_MIPS"]


def test_what_may_be_built_is_counted_as_such() -> None:
    rows = [Row(fate, "c/a-1", "0", "r", changed(package()), 0) for fate in ("build", "perhaps")]
    total = as_table(rows, (), make_theme(colour=False))[-1]
    assert total == "2 packages: 1 to build, 1 perhaps (2 new); 0 B to fetch"
    assert as_table((), (), make_theme(colour=False))[-1] == "0 packages; 0 B to fetch"
