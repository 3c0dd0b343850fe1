"""Parts of a graph: the neighbourhood of a package, and the paths between two."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloche.plan.depgraph import Depgraph

Edges = Mapping[str, tuple[str, ...]]


def declared(graph: Depgraph) -> dict[str, tuple[str, ...]]:
    """Every declared dependency of any kind between packages of the graph."""
    known = graph.by_id()
    return {
        package.id: tuple(
            dict.fromkeys(e.to for e in package.edges if e.to in known and e.to != package.id)
        )
        for package in graph.packages
    }


def turned(edges: Edges) -> dict[str, tuple[str, ...]]:
    """The same edges backwards."""
    back: dict[str, list[str]] = {name: [] for name in edges}
    for name, others in edges.items():
        for other in others:
            back[other].append(name)
    return {name: tuple(others) for name, others in back.items()}


def within(edges: Edges, start: Iterable[str], depth: int | None = None) -> frozenset[str]:
    """Names reached from ``start``, including it, in at most ``depth`` steps."""
    seen = set(start)
    ring = set(seen)
    while ring and (depth is None or depth > 0):
        ring = {other for name in ring for other in edges[name]} - seen
        seen |= ring
        depth = None if depth is None else depth - 1
    return frozenset(seen)


def between(edges: Edges, first: str, last: str) -> frozenset[str]:
    """Every name on a path from ``first`` to ``last``; empty when there is none.

    A path neither returns to ``first`` nor continues after ``last``, as it could in a cycle.
    """
    onwards = within({**edges, last: ()}, [first])
    back = within({**turned(edges), first: ()}, [last])
    found = onwards & back
    return found if {first, last} <= found else frozenset()


def kept(edges: Edges, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The edges among some names, in the order they had."""
    wanted = set(names)
    return {
        n: tuple(o for o in others if o in wanted) for n, others in edges.items() if n in wanted
    }
