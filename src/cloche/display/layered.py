"""Places for the nodes of a graph in layers: what needs nothing first, each after what it needs.

Sugiyama's way, in its simplest form: layers by the longest path, the order within them by the mean
place of the neighbours, a few sweeps. Edges that others imply are left out first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

SWEEPS = 4


def reduced(names: Sequence[str], needs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """For each name what it needs directly; edges that are implied by others are left out.

    ``names`` are in an order in which everything comes after what it needs (a merge order); edges
    that go the other way are dropped.
    """
    place = {name: number for number, name in enumerate(names)}
    direct: list[set[int]] = [set() for _ in names]
    for name, other in needs:
        if name in place and other in place and place[other] < place[name]:
            direct[place[name]].add(place[other])
    reach = [0] * len(names)  # bit sets of all that a node reaches
    result: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(names):
        kept = []
        for other in sorted(direct[number], reverse=True):  # the latest first: it implies the rest
            if not reach[number] >> other & 1:
                kept.append(other)
                reach[number] |= reach[other] | 1 << other
        result[name] = tuple(names[other] for other in sorted(kept))
    return result


def placed(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Layer and place in it for each name; ``needs`` is in an order as `reduced` gives it."""
    depth: dict[str, int] = {}
    for name, others in needs.items():
        depth[name] = max((depth[other] + 1 for other in others), default=0)
    layers: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, number in depth.items():
        layers[number].append(name)
    parents: dict[str, list[str]] = {name: [] for name in needs}
    for name, others in needs.items():
        for other in others:
            parents[other].append(name)
    where = {name: float(n) for layer in layers for n, name in enumerate(layer)}
    for sweep in range(SWEEPS):
        neighbours: Mapping[str, Sequence[str]] = parents if sweep % 2 else needs
        for layer in reversed(layers) if sweep % 2 else layers:
            layer.sort(key=lambda name: _mean(name, neighbours, where))
            where.update((name, float(n)) for n, name in enumerate(layer))
    return {name: (d, n) for d, layer in enumerate(layers) for n, name in enumerate(layer)}


def _mean(name: str, neighbours: Mapping[str, Sequence[str]], where: Mapping[str, float]) -> float:
    near = neighbours[name]
    return sum(where[other] for other in near) / len(near) if near else where[name]
