"""Visible sets: the layers that a step may see, which are only what its package declares."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from cloche.plan.depgraph import (
    BUILDTIME,
    NEEDED_AT_MERGE,
    NEEDED_AT_RUN_TIME,
    REPLACES,
    Depgraph,
    Package,
)
from cloche.plan.order import bits, chosen, closures, mask


@dataclass(frozen=True, slots=True)
class Visible:
    """Ids of packages, in merge order, whose layers the two steps of one package see.

    ``seed_build`` and ``seed_merge`` are the packages of the seed that the steps declare, without
    the dependencies of those: a strict step sees nothing else of the seed.
    """

    build: tuple[str, ...]
    merge: tuple[str, ...]
    seed_build: tuple[str, ...] = ()
    seed_merge: tuple[str, ...] = ()

    @property
    def needed(self) -> frozenset[str]:
        """All packages that must be layers before this one can be made."""
        return frozenset(self.build) | frozenset(self.merge)


def visible_sets(
    graph: Depgraph, toolchain: Sequence[Package] = (), layout: Sequence[Package] = ()
) -> dict[str, Visible]:
    """Compute the visible sets of every package.

    All packages that go into a root of its own also see the ``layout`` there, and the ``toolchain``
    when they are built.
    A dependency means the instance that exists at that point of Portage's merge order, so only
    earlier packages are visible. This also excludes cycles of RDEPEND and PDEPEND.
    """
    names = [package.id for package in graph.packages]
    targets = _targets(graph)
    below = closures([targets(package, NEEDED_AT_RUN_TIME) for package in graph.packages])
    used = [frozenset(_used(package, NEEDED_AT_RUN_TIME)) for package in graph.packages]
    users = mask(place for place, found in enumerate(used) if found)

    def seen(package: Package, kinds: frozenset[str]) -> int:
        return reduce(or_, (below[place] for place in targets(package, kinds)), 0)

    def of_seed(package: Package, kinds: frozenset[str], others: int) -> tuple[str, ...]:
        found = (used[place] for place in bits(others & users))
        return tuple(sorted(set().union(_used(package, kinds), *found)))

    def with_needs(packages: Sequence[Package]) -> int:
        return reduce(or_, (below[names.index(each.id)] for each in packages), 0)

    laid_out = with_needs(layout)
    always = laid_out | with_needs(toolchain)
    sets = {}
    for place, package in enumerate(graph.packages):
        tools = seen(package, frozenset({BUILDTIME})) | (0 if package.broot else always)
        # A package's hooks may call what it needs when it is merged.
        own = seen(package, NEEDED_AT_MERGE) | (0 if package.broot else laid_out)
        earlier = (1 << place) - 1
        sets[package.id] = Visible(
            chosen(names, tools & earlier),
            chosen(names, own & earlier),
            of_seed(package, frozenset({BUILDTIME}), tools),
            of_seed(package, NEEDED_AT_MERGE | {REPLACES}, own),
        )
    return sets


def machine_members(
    graph: Depgraph, *, unrequested: bool = False, build_deps: bool = False
) -> tuple[str, ...]:
    """Ids, in merge order, of the packages of a finished machine.

    These are the requested packages and their dependencies at run time and at the merge. Build
    dependencies stay out, as with ``emerge --usepkgonly``; with ``build_deps`` they stay in, as
    after an emerge that builds. Tools over the seed are not members. ``unrequested`` adds packages
    that no other one needs. Options of emerge bring these: ``--update --deep`` updates of what is
    installed, ``--onlydeps`` dependencies without the packages that need them.
    """
    targets = _targets(graph)
    kinds = NEEDED_AT_MERGE | ({BUILDTIME} if build_deps else set())
    below = closures([targets(package, kinds) for package in graph.packages])
    roots = {n for n, package in enumerate(graph.packages) if package.requested}
    if unrequested:
        roots |= _unneeded(graph, roots)
    asked = (below[n] for n in sorted(roots))
    own = mask(place for place, package in enumerate(graph.packages) if not package.broot)
    return chosen([package.id for package in graph.packages], reduce(or_, asked, 0) & own)


def _unneeded(graph: Depgraph, roots: set[int]) -> set[int]:
    """Positions of packages that no other needs, besides ``roots``; of a cycle, the last one."""
    targets = _targets(graph)
    kinds = NEEDED_AT_MERGE | {BUILDTIME}
    below = closures([targets(package, kinds) for package in graph.packages])
    reached = reduce(or_, (below[n] for n in roots), 0)
    found = set()
    for n in reversed(range(len(graph.packages))):
        if not reached >> n & 1:
            found.add(n)
            reached |= below[n]
    return found


def _targets(graph: Depgraph) -> Callable[[Package, frozenset[str]], list[int]]:
    """A function that gives the positions to which a package's edges of some kinds point."""
    rank = {package.id: place for place, package in enumerate(graph.packages)}
    return lambda package, kinds: [rank[to] for to in package.targets(kinds) if to in rank]


def _used(package: Package, kinds: frozenset[str]) -> Iterator[str]:
    """The packages of the seed that a package depends on."""
    return (edge.to for edge in package.uses if not kinds.isdisjoint(edge.kinds))
