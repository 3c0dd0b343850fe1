"""The plan: one entry for each package, what it waits for, and how urgent it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from cloche.plan.depgraph import Depgraph, Package
from cloche.plan.toolchain import implicit_first, layout, toolchain
from cloche.plan.visible import Visible, machine_members, visible_sets

DEFAULT_SECONDS = 10.0  # guess for a package without earlier builds


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one resolution: packages, their visible sets, and the machine's members.

    ``merged`` are the members in the order in which Portage would merge them; a root of its own is
    built in another one (`implicit_first`).
    """

    graph: Depgraph
    visible: Mapping[str, Visible]
    members: tuple[str, ...]
    merged: tuple[str, ...]

    @property
    def packages(self) -> tuple[Package, ...]:
        """Packages in Portage's merge order."""
        return self.graph.packages

    def waits_for(self) -> dict[str, frozenset[str]]:
        """The packages that must be layers before each package can start."""
        return {name: sets.needed for name, sets in self.visible.items()}


def make_plan(
    graph: Depgraph,
    *,
    own_root: bool = False,
    cross: bool = False,
    unrequested: bool = False,
    build_deps: bool = False,
) -> Plan:
    """Make the plan of a resolution; ``own_root``: its packages go into a root of its own.

    ``cross``: that is for another CPU than the seed's. Then what hooks run of the new root does not
    find the seed's C library, and merges see the toolchain, too. ``unrequested``, ``build_deps``:
    see `machine_members`.
    """
    members = partial(machine_members, unrequested=unrequested, build_deps=build_deps)
    merged = members(graph)
    if not own_root:
        return Plan(graph, visible_sets(graph), merged, merged)
    graph = implicit_first(graph)
    always = toolchain(graph)
    visible = visible_sets(graph, always, (*layout(graph), *(always if cross else ())))
    return Plan(graph, visible, members(graph), merged)


def narrowed(plan: Plan, wanted: Iterable[str]) -> Plan:
    """The part of a plan that makes some packages: these and all that they wait for.

    Visible sets and keys stay the same.
    """
    waits_for = plan.waits_for()
    needed: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name not in needed:
            needed.add(name)
            todo.extend(waits_for[name])
    packages = tuple(package for package in plan.packages if package.id in needed)
    return Plan(
        replace(plan.graph, packages=packages),
        {package.id: plan.visible[package.id] for package in packages},
        tuple(name for name in plan.members if name in needed),
        tuple(name for name in plan.merged if name in needed),
    )


def widened(plan: Plan, names: Iterable[str]) -> Plan:
    """The plan with packages whose builds see all the others, but those that wait for one of them.

    So they are built as in a root into which all of it is merged. They come last in its order.
    """
    wide, waiting = frozenset(names), set[str]()
    for package in plan.packages:  # what waits for a package comes after it
        if package.id in wide or waiting & plan.visible[package.id].needed:
            waiting.add(package.id)
    first = [package for package in plan.packages if package.id not in waiting]
    last = [package for package in plan.packages if package.id in waiting]
    seen = tuple(package.id for package in first if not package.broot)
    visible = {
        name: replace(sets, build=tuple(dict.fromkeys((*seen, *sets.build))))
        if name in wide
        else sets
        for name, sets in plan.visible.items()
    }
    return replace(plan, graph=replace(plan.graph, packages=(*first, *last)), visible=visible)


def remaining_paths(plan: Plan, seconds: Callable[[Package], float | None]) -> dict[str, float]:
    """Seconds of the longest chain of work that starts with each package.

    ``seconds`` gives a package's earlier time, None if unknown. The ready queue takes the greatest
    first.
    """
    paths: dict[str, float] = {}
    after: dict[str, float] = {}
    for package in reversed(plan.packages):  # what waits for a package comes after it
        own = seconds(package)
        path = (DEFAULT_SECONDS if own is None else own) + after.get(package.id, 0.0)
        paths[package.id] = path
        for other in plan.visible[package.id].needed:
            after[other] = max(path, after.get(other, 0.0))
    return paths
