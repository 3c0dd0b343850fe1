"""What a step may see: the heart of "each package in a root that holds what it declares"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cloche.plan.depgraph import (
    BUILDTIME,
    NEEDED_AT_MERGE,
    NEEDED_AT_RUN_TIME,
    REPLACES,
    Depgraph,
    Package,
)


@dataclass(frozen=True, slots=True)
class Visible:
    """Ids of packages, in merge order, whose layers the two steps of one package see.

    ``seed_build`` and ``seed_merge`` are the packages of the seed that they declare to need,
    without what those need themselves: a strict step sees nothing else of it.
    """

    build: tuple[str, ...]
    merge: tuple[str, ...]
    seed_build: tuple[str, ...] = ()
    seed_merge: tuple[str, ...] = ()

    @property
    def needed(self) -> frozenset[str]:
        """Everything that has to be a layer before the package can be done."""
        return frozenset(self.build) | frozenset(self.merge)


def needs_of(packages: Mapping[str, Package], kinds: frozenset[str]) -> Mapping[str, set[str]]:
    """For each package the others that its edges of these kinds point to."""
    return {
        name: {to for to in package.targets(kinds) if to in packages}
        for name, package in packages.items()
    }


def closure(start: Iterable[str], needs: Mapping[str, set[str]]) -> set[str]:
    """Ids reached from ``start``, which are included; see `needs_of`."""
    seen: set[str] = set()
    todo = {name for name in start if name in needs}
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= needs[name] - seen
    return seen


def visible_sets(graph: Depgraph) -> dict[str, Visible]:
    """Compute the visible sets of every package.

    A dependency means the instance that exists at that place in Portage's merge order, so only what
    comes earlier is visible. That also makes the relation free of cycles, whatever RDEPEND and
    PDEPEND say to each other.
    """
    packages = graph.by_id()
    rank = {package.id: place for place, package in enumerate(graph.packages)}

    def earlier(names: set[str], than: str) -> tuple[str, ...]:
        return tuple(sorted((n for n in names if rank[n] < rank[than]), key=rank.__getitem__))

    sets, needs = {}, needs_of(packages, NEEDED_AT_RUN_TIME)
    for package in graph.packages:
        tools = closure(package.targets(frozenset({BUILDTIME})), needs)
        # What a package itself needs when it is merged may be called by its hooks.
        own = closure(package.targets(NEEDED_AT_MERGE), needs)
        sets[package.id] = Visible(
            earlier(tools, package.id),
            earlier(own, package.id),
            _used(package, frozenset({BUILDTIME}), tools, packages),
            _used(package, NEEDED_AT_MERGE | {REPLACES}, own, packages),
        )
    return sets


def _used(
    package: Package, kinds: frozenset[str], others: set[str], packages: Mapping[str, Package]
) -> tuple[str, ...]:
    """What of the seed a package and the others that it sees depend on."""
    found = {edge.to for edge in package.uses if not kinds.isdisjoint(edge.kinds)}
    for name in others:
        uses = packages[name].uses
        found.update(edge.to for edge in uses if not NEEDED_AT_RUN_TIME.isdisjoint(edge.kinds))
    return tuple(sorted(found))


def machine_members(graph: Depgraph) -> tuple[str, ...]:
    """Ids, in merge order, of what a finished machine holds.

    It is what was asked for and what that needs when it runs and when it is merged; what only
    builds needed stays out, as with ``emerge --usepkgonly``.
    """
    needs = needs_of(graph.by_id(), NEEDED_AT_MERGE)
    asked = (package.id for package in graph.packages if package.requested)
    members = closure(asked, needs)
    return tuple(package.id for package in graph.packages if package.id in members)
