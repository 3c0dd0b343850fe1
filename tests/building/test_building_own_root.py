"""A root of its own: its C library must suit the seed, whose own runs what a build makes."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests import values

from cloche.building.crossing import Crossing
from cloche.building.own_root import check, newer
from cloche.config.chost import cpu_of
from cloche.errors import ClocheError, Exit
from cloche.plan.depgraph import Package
from cloche.seeds.debian.packages import STATUS
from cloche.store import Store
from cloche.tasks.task import Cross

GLIBC = "sys-libs/glibc-{}"


def compiled(name: str) -> Package:
    return values.package(name, defined_phases=("compile",))


def checked(path: Path, packages: Sequence[Package], *files: str, emulator: str = "") -> None:
    """Check a machine with a root of its own, on a seed with these files."""
    with Store.open(path / "store") as store:
        seed = values.stored(store, "seed", "seed", **dict.fromkeys(files, ""))
        programs = (
            values.stored(store, "seed", "interpreters", **{emulator: ""}) if emulator else None
        )
        context = values.context(store, own_root=True, base=(seed,), interpreters=programs)
        check(context, values.plan_of(*packages))


@pytest.mark.parametrize(
    ("files", "lacking"),
    [
        ((), "compiler"),
        (("usr/bin/x86_64-linux-gnu-ld", "usr/bin/as"), "compiler"),
        (("usr/bin/x86_64-linux-gnu-gcc-12",), "linker"),
        (("usr/bin/gcc", "usr/bin/ldd", "usr/bin/ldconfig"), "linker"),
    ],
)
def test_a_seed_without_a_toolchain_is_refused(
    tmp_path: Path, files: Sequence[str], lacking: str
) -> None:
    packages = (compiled("sys-libs/glibc"), compiled("sys-devel/gcc"))
    with pytest.raises(ClocheError, match=f"its seed has no {lacking}") as caught:
        checked(tmp_path, packages, *files)
    assert caught.value.status == Exit.BAD_INPUT
    assert caught.value.where == "machine m"
    checked(tmp_path, [values.package("app-misc/data")])  # nothing is compiled


@pytest.mark.parametrize(
    "files",
    [
        ("usr/bin/gcc", "usr/bin/ld"),
        ("usr/bin/x86_64-pc-linux-gnu-gcc-13", "usr/bin/x86_64-pc-linux-gnu-ld.bfd"),
        ("usr/bin/cc", "usr/x86_64-pc-linux-gnu/binutils-bin/2.41/ld"),
        ("usr/x86_64-pc-linux-gnu/gcc-bin/13/gcc", "bin/ld"),
        ("usr/bin/clang", "usr/bin/ld.lld"),
        ("usr/lib/llvm/17/bin/clang",),
    ],
)
def test_a_toolchain_is_known_by_its_names(tmp_path: Path, files: Sequence[str]) -> None:
    checked(tmp_path, [compiled("sys-libs/glibc")], *files)


def test_a_compiler_that_is_merged_over_the_seed_will_do(tmp_path: Path) -> None:
    id = "sys-devel/gcc-1::r@broot"
    tool = values.package("sys-devel/gcc", id=id, broot=True)
    checked(tmp_path, [tool, compiled("sys-libs/glibc")])


@pytest.mark.parametrize("chost", ["i686-pc-linux-gnu", "x86_64-gentoo-linux-gnu", "odd"])
def test_a_profile_may_be_for_any_cpu_that_the_seeds_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chost: str
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    package = replace(compiled("sys-libs/glibc"), environment={"CHOST": chost})
    checked(tmp_path, [package], "usr/bin/gcc", "usr/bin/ld")


def test_a_profile_for_another_cpu_without_chost_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    chost = "aarch64-unknown-linux-gnu"
    package = replace(compiled("sys-libs/glibc"), environment={"CHOST": chost})
    with pytest.raises(ClocheError, match=r"for arm64 \(CHOST .*\), its seed for amd64") as caught:
        checked(tmp_path, [package], "usr/bin/gcc", "usr/bin/ld")
    assert f'add `chost = "{chost}"`' in str(caught.value.todo)
    assert caught.value.status == Exit.BAD_INPUT


def test_a_seed_that_is_emulated_is_for_the_cpu_of_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    emulated = {"emulator": "qemu-aarch64"}
    package = replace(compiled("sys-libs/glibc"), environment={"CHOST": "aarch64-gentoo-linux-gnu"})
    checked(tmp_path, [package], "usr/bin/gcc", "usr/bin/ld", **emulated)
    package = replace(package, environment={"CHOST": "x86_64-pc-linux-gnu"})
    with pytest.raises(ClocheError, match=r"for amd64 \(CHOST .*\), its seed for arm64"):
        checked(tmp_path, [package], "usr/bin/gcc", "usr/bin/ld", **emulated)


@pytest.mark.parametrize(
    ("chost", "todo"),
    [
        ("riscv64-unknown-linux-gnu", 'add "crossbuild-essential-riscv64" to `packages`'),
        # Debian has no compilers for musl.
        ("x86_64-pc-linux-musl", "take a seed that has x86_64-pc-linux-musl-gcc in /usr/bin"),
    ],
)
def test_a_debian_seed_is_not_asked_for_what_debian_lacks(
    tmp_path: Path, chost: str, todo: str
) -> None:
    cpu = cpu_of(chost)
    assert cpu is not None
    cross = Crossing(cpu, Cross(chost, "x86_64-pc-linux-gnu", f"{chost}-", "0" * 64), False, {})
    with Store.open(tmp_path / "store") as store:
        seed = values.stored(store, "seed", "seed", **{STATUS: ""})
        context = values.context(store, own_root=True, base=(seed,), cross=cross)
        with pytest.raises(ClocheError, match=f"its seed has no compiler for {chost}") as caught:
            check(context, values.plan_of(compiled("sys-libs/glibc")))
    assert str(caught.value.todo).startswith(todo)


def test_a_root_without_packages_is_refused(tmp_path: Path) -> None:
    tool = values.package("c/tool", id="c/tool-1::r@broot", broot=True)
    for packages in ((), (tool,)):
        with pytest.raises(
            ClocheError, match=r"gets no packages; name packages .*\(r:default lists"
        ):
            checked(tmp_path, packages)


@pytest.mark.parametrize(
    ("own", "seed"),
    [("2.36-r8", "2.36-r99"), ("2.36-r100", "2.36-r99"), ("2.9", "2.36-r99"), ("2.36", "2.41")],
)
def test_a_c_library_that_the_seed_can_run_is_fine(own: str, seed: str) -> None:
    assert newer([GLIBC.format(own)], [GLIBC.format(seed)]) is None


def test_a_newer_one_is_warned_of() -> None:
    told = newer(["app-misc/a-9", GLIBC.format("2.38-r1")], ["c/b-1", GLIBC.format("2.36-r99")])
    assert told is not None
    assert told.startswith("sys-libs/glibc-2.38 is newer than the seed's (2.36): ")
    assert told.endswith("mask >sys-libs/glibc-2.36")


def test_of_several_in_the_seed_the_newest_counts() -> None:
    seed = [GLIBC.format("2.36"), GLIBC.format("2.41")]
    assert newer([GLIBC.format("2.38")], seed) is None
    told = newer([GLIBC.format("2.42")], seed)
    assert told is not None
    assert told.endswith("mask >sys-libs/glibc-2.41")


def test_another_c_library_is_not_compared() -> None:
    assert newer(["sys-libs/musl-1.2"], [GLIBC.format("2.36")]) is None
    assert newer([GLIBC.format("2.38")], []) is None
