"""A root of its own: undeclared toolchain and layout come first, for all builds and merges."""

from __future__ import annotations

from dataclasses import replace

from tests.values import edge, package

from cloche.plan.depgraph import BROOT, Depgraph, Edge, Package
from cloche.plan.plan import make_plan
from cloche.plan.toolchain import implicit_first


def over_seed(name: str, *edges: Edge) -> Package:
    """A package that is merged over the seed."""
    made = package(name, *edges)
    return replace(made, id=made.id + BROOT, broot=True)


BASE = package("sys-apps/base-1")
HEADERS = package("sys-kernel/linux-headers-6")
TOOL = over_seed("dev-util/tool-1")
HELLO = package(
    "app-misc/hello-1", Edge(TOOL.id, ("buildtime",)), edge("dev-libs/gmp-6"), requested=True
)
GMP = package("dev-libs/gmp-6", edge("sys-libs/glibc-2"))
GLIBC = package(
    "sys-libs/glibc-2", edge("sys-kernel/linux-headers-6", "buildtime"), edge("sys-apps/base-1")
)
GCC = package("sys-devel/gcc-13", edge("dev-libs/gmp-6", "buildtime", "runtime"), requested=True)
GRAPH = Depgraph((BASE, TOOL, HEADERS, GLIBC, GMP, HELLO, GCC))


def test_the_toolchain_comes_first_with_what_it_needs() -> None:
    first = implicit_first(GRAPH)
    assert first.packages == (HEADERS, BASE, GLIBC, GMP, GCC, TOOL, HELLO)
    assert implicit_first(first) == first


def test_nothing_moves_without_a_toolchain() -> None:
    graph = Depgraph((BASE, TOOL, HELLO, GMP))
    assert implicit_first(graph) == graph


def test_every_build_sees_the_part_of_it_that_is_there() -> None:
    visible = make_plan(GRAPH, own_root=True).visible
    assert visible[HELLO.id].build == tuple(
        each.id for each in (HEADERS, BASE, GLIBC, GMP, GCC, TOOL)
    )
    assert visible[GMP.id].build == (HEADERS.id, BASE.id, GLIBC.id)
    assert visible[HEADERS.id].build == ()
    assert visible[TOOL.id].build == ()  # it is built over the seed
    assert HEADERS.id not in visible[HELLO.id].merge


def test_every_build_and_every_merge_sees_the_layout() -> None:
    layout = package("sys-apps/baselayout-2", edge("sys-apps/base-1"))
    graph = replace(GRAPH, packages=(*GRAPH.packages, layout))
    plan = make_plan(graph, own_root=True)
    assert plan.packages == (BASE, layout, HEADERS, GLIBC, GMP, GCC, TOOL, HELLO)
    assert plan.visible[HEADERS.id].merge == (BASE.id, layout.id)
    assert plan.visible[layout.id].merge == (BASE.id,)
    assert plan.visible[TOOL.id].build == plan.visible[TOOL.id].merge == ()
    # Linkers need the links of its hooks, such as /lib64, and glibc does not declare them.
    assert plan.visible[HEADERS.id].build == (BASE.id, layout.id)
    assert layout.id in plan.visible[HELLO.id].build
    assert layout.id not in plan.members  # nothing asks for it
    assert plan.merged == make_plan(graph).merged


def test_merges_for_another_cpu_see_the_c_library_as_the_seeds_is_none_for_it() -> None:
    plan = make_plan(GRAPH, own_root=True, cross=True)
    assert plan.visible[GCC.id].merge == (HEADERS.id, BASE.id, GLIBC.id, GMP.id)
    assert plan.visible[HEADERS.id].merge == ()
    assert plan.visible[TOOL.id].merge == ()
    native = make_plan(GRAPH, own_root=True)
    assert {n: v.build for n, v in plan.visible.items()} == {
        n: v.build for n, v in native.visible.items()
    }
    assert plan.members == native.members


def test_tools_over_the_seed_are_no_members_and_members_keep_portages_order() -> None:
    plan = make_plan(GRAPH, own_root=True)
    assert set(plan.members) == {BASE.id, GLIBC.id, GMP.id, HELLO.id, GCC.id}
    assert plan.merged == tuple(each.id for each in (BASE, GLIBC, GMP, HELLO, GCC))


def test_over_a_seed_nothing_is_implicit() -> None:
    plan = make_plan(GRAPH)
    assert plan.packages == GRAPH.packages
    assert plan.visible[GMP.id].build == ()
