"""Places for the nodes of a graph in layers: what needs nothing first, each after what it needs.

Sugiyama's way, in its simplest form: layers by the longest path, the order within them by the mean
place of the neighbours, a few sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

SWEEPS = 4


def placed(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Layer and place in it for each name; ``needs`` has each name after those it needs."""
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
