"""Answers "why": why a package is in the plan, and why it was built again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from cloche.plan.depgraph import Depgraph, Edge


@dataclass(frozen=True, slots=True)
class Change:
    """One part of a key that differs; None for a missing part."""

    part: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain of dependencies: ``package`` needs ``edge.to``."""

    package: str
    edge: Edge


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Change, ...]:
    """What differs between the parts of two keys, by name."""
    names = sorted(old.keys() | new.keys())
    return tuple(Change(n, old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n))


def needed_by(graph: Depgraph, target: str) -> tuple[Link, ...]:
    """The shortest chain from a requested package down to ``target``.

    Empty if the target itself was requested, or is not in the graph.
    """
    packages = graph.by_id()
    came_by: dict[str, Link | None] = {p.id: None for p in graph.packages if p.requested}
    queue = deque(came_by)
    while queue:
        name = queue.popleft()
        if name == target:
            break
        for edge in packages[name].edges:
            if edge.to in packages and edge.to not in came_by:
                came_by[edge.to] = Link(name, edge)
                queue.append(edge.to)
    chain: list[Link] = []
    link = came_by.get(target)
    while link is not None:
        chain.append(link)
        link = came_by[link.package]
    return tuple(reversed(chain))
