"""Who has which compile cache, and which of them is kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import values
from tests.values import package

from cloche.building import ccache
from cloche.building.compilers import compiles, has_ccache, identity
from cloche.building.context import BuildContext, Policy
from cloche.building.package_tasks import Seen, build_task
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer
from cloche.seeds.parts.strict import SeedParts
from cloche.store import Outcome, Store, names
from cloche.tasks.build import CCACHE_SIZE, changed_cache
from cloche.tasks.task import CompileCache

A = package("a")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as store:
        yield store


@pytest.fixture
def context(store: Store) -> BuildContext:
    """A build with compile caches, over a seed that has ccache."""
    seed = values.stored(store, "seed", "seed", **{"usr/bin/ccache": "1", "usr/bin/gcc": "1"})
    return values.context(store, policy=Policy(offline=True, ccache=True), base=(seed,))


def built(context: BuildContext, content: str, *layers: Layer) -> Outcome:
    """A build that succeeded and changed its cache, as far as the cache is concerned."""
    task = build_task(context, A, Seen(tuple(layers)), cached=True)
    outputs = {"gpkg": "x", "ccache": values.blob(context.store, content)}
    return ccache.kept(context, A, task, Outcome(outputs))


def test_a_cache_is_kept_for_the_next_build_and_not_recorded(context: BuildContext) -> None:
    first = ccache.cache_of(context, A, ())
    assert first is not None
    assert first.tarball is None
    assert built(context, "one").outputs == {"gpkg": "x"}
    second = ccache.cache_of(context, A, ())
    assert second == CompileCache(first.compilers, values.blob(context.store, "one"))
    built(context, "two")
    assert build_task(context, A, Seen(), cached=True).blobs == (values.blob(context.store, "two"),)
    assert len(context.store.pins(names.CCACHES)) == 1


def test_a_cache_that_did_not_change_is_kept_as_long_as_it_is_used(context: BuildContext) -> None:
    built(context, "one")
    (before,) = context.store.pins(names.CCACHES)
    ccache.kept(context, A, build_task(context, A, Seen(), cached=True), Outcome({"gpkg": "x"}))
    (after,) = context.store.pins(names.CCACHES)
    assert after.blobs == before.blobs
    assert after.created > before.created


def test_versions_share_a_cache_and_nobody_else_does(context: BuildContext) -> None:
    built(context, "one")
    assert _tarball(context, package("c/a-2")) is not None
    for other in (package("c/b"), package("d/a"), package("c/a", repo="other")):
        assert _tarball(context, other) is None
    elsewhere = replace(context, inputs=replace(context.inputs, place="another project"))
    assert _tarball(elsewhere, A) is None


def test_what_compiles_is_part_of_the_name_and_what_does_not_is_not(context: BuildContext) -> None:
    built(context, "one")
    library = values.stored(context.store, "lib", **{"usr/lib64/libx.so": "x", "usr/bin/x": "x"})
    assert _tarball(context, A, library) is not None
    binutils = values.stored(context.store, "binutils", **{"usr/bin/ld.bfd": "1"})
    assert _tarball(context, A, binutils) is None
    config = values.stored(context.store, "m", "config", **{"etc/portage/make.conf": "1"})
    ground = context.inputs.ground
    assert identity((*ground, config), ()) == identity(ground, ())
    other = values.stored(context.store, "other", "seed", **{"usr/bin/x": "x"})
    assert identity((*ground, other), ()) != identity(ground, ())


def test_of_a_seed_that_is_a_machine_only_packages_that_compile_count(
    context: BuildContext,
) -> None:
    store = context.store
    compiler = values.stored(store, "c/gcc-1", **{"usr/bin/gcc": "1"})
    library = values.stored(store, "c/lib-1", **{"usr/lib64/libx.so": "x"})
    state = values.stored(store, "m", "state", **{"etc/profile.env": "x"})
    machine = replace(context.inputs, made_of=(compiler, library, state))
    of_it = replace(context, inputs=machine)
    built(of_it, "one")
    for made_of, kept in (
        ((compiler,), True),
        ((library, compiler, values.stored(store, "c/more-1", **{"etc/more": "x"})), True),
        ((library, values.stored(store, "c/gcc-2", **{"usr/bin/gcc": "2"})), False),
    ):
        changed = replace(context, inputs=replace(machine, made_of=made_of))
        assert (_tarball(changed, A) is not None) is kept
    parts = SeedParts(values.stored(store, "ground", "strict", **{"usr/bin/ccache": "1"}), {}, {})
    hidden = replace(machine, seed_parts=parts)
    assert _tarball(replace(context, inputs=hidden), A) is None
    shown = replace(machine, seed_parts=replace(parts, merged=(compiler.id,)))
    assert _tarball(replace(context, inputs=shown), A) is not None


def test_without_the_setting_or_the_program_there_is_none(context: BuildContext) -> None:
    assert build_task(context, A, Seen()).ccache is None
    without = replace(context, policy=replace(context.policy, ccache=False))
    assert ccache.cache_of(without, A, ()) is None
    ccache.check(without, values.plan_of(A))
    bare = values.context(context.store, policy=context.policy)
    assert ccache.cache_of(bare, A, ()) is None
    program = values.stored(context.store, "ccache", **{"usr/bin/ccache": "1"})
    assert ccache.cache_of(bare, A, [program]) is not None


def test_a_machine_that_has_ccache_nowhere_is_refused(context: BuildContext) -> None:
    bare = values.context(context.store, policy=context.policy)
    with pytest.raises(ClocheError) as caught:
        ccache.check(bare, values.plan_of(A))
    assert caught.value.status == Exit.BAD_INPUT
    assert 'packages = ["ccache"]' in str(caught.value.todo)
    ccache.check(bare, values.plan_of(A, package("dev-util/ccache-4")))
    ccache.check(context, values.plan_of(A))


@pytest.mark.parametrize(
    ("path", "compiling"),
    [
        ("usr/bin/gcc", True),
        ("usr/bin/x86_64-pc-linux-gnu-g++-12", True),
        ("bin/as", True),
        ("usr/bin/ld.gold", True),
        ("usr/lib/llvm/17/bin/clang", True),
        ("usr/lib/gcc/x86_64-pc-linux-gnu/13/cc1", True),
        ("usr/libexec/gcc/x86_64-pc-linux-gnu/13/cc1", True),
        ("usr/x86_64-pc-linux-gnu/binutils-bin/2.41/as", True),
        ("usr/bin/bash", False),
        ("usr/bin/ldd", False),
        ("usr/share/gcc/python", False),
        ("usr/lib64/libgcc_s.so", False),
        ("etc/ld.so.conf", False),
    ],
)
def test_what_compiles_is_known_by_its_name(tmp_path: Path, path: str, compiling: bool) -> None:
    values.write_files(tmp_path / "layer", [path])
    assert compiles(tmp_path / "layer") is compiling


def test_no_link_of_a_layer_is_followed(tmp_path: Path) -> None:
    values.write_files(tmp_path / "host", ["bin/gcc", "bin/ccache"])
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "usr").symlink_to(tmp_path / "host")
    assert not compiles(layer)
    assert not has_ccache(layer)


def test_only_a_regular_file_of_bounded_size_is_taken_from_a_build(
    context: BuildContext, tmp_path: Path
) -> None:
    task, file = build_task(context, A, Seen(), cached=True), tmp_path / "ccache.tar"
    assert changed_cache(task, tmp_path) is None
    file.symlink_to("/etc/passwd")
    assert changed_cache(task, tmp_path) is None
    file.unlink()
    file.write_text("x")
    assert changed_cache(task, tmp_path) == file
    assert changed_cache(build_task(context, A, Seen()), tmp_path) is None
    os.truncate(file, 2 * CCACHE_SIZE + 1)
    assert changed_cache(task, tmp_path) is None


def _tarball(context: BuildContext, package, *layers: Layer) -> str | None:
    found = ccache.cache_of(context, package, layers)
    assert found is not None
    return found.tarball
