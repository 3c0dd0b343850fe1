"""Places for the nodes of a graph in layers: what needs nothing first, each after what it needs.

The way of Sugiyama, Tagawa and Toda (1981), in small: a layer is the longest chain of needs; edges
over several layers go through points of their own in each; sweeps put everything near its
neighbours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cloche.plan.order import bits, make_order

SWEEPS = 6

# A vertex or a point of a passing edge: (place, -1) or (source, target) with the layer beside it.
Item = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Layers:
    """Columns of items, each item's neighbours before and after it, and the edges' ways."""

    columns: list[list[Item]]
    before: Mapping[Item, list[Item]]
    after: Mapping[Item, list[Item]]
    chains: list[list[Item]]


def layered(names: Sequence[str], edges: Mapping[str, Sequence[str]]) -> Layers:
    """Columns for a graph whose names come after all they need, as ``edges`` has it."""
    order = make_order(names, edges)
    depth: list[int] = []
    for place in range(len(order.names)):
        depth.append(1 + max((depth[other] for other in bits(order.needs[place])), default=-1))
    columns: list[list[Item]] = [[] for _ in range(max(depth, default=-1) + 1)]
    vertices = [(place, -1, depth[place]) for place in range(len(order.names))]
    for item in vertices:
        columns[item[2]].append(item)
    before: dict[Item, list[Item]] = {item: [] for item in vertices}
    after: dict[Item, list[Item]] = {item: [] for item in vertices}
    chains = []
    for place, name in enumerate(order.names):
        for other in sorted({order.index.get(n, place) for n in edges.get(name, ())}):
            if other >= place:
                continue
            points: list[Item] = [(other, place, n) for n in range(depth[other] + 1, depth[place])]
            for point in points:
                columns[point[2]].append(point)
                before[point], after[point] = [], []
            chain = [vertices[other], *points, vertices[place]]
            for one, next_one in pairwise(chain):
                after[one].append(next_one)
                before[next_one].append(one)
            chains.append(chain)
    layers = Layers(columns, before, after, chains)
    _sweep(layers)
    return layers


def _sweep(layers: Layers) -> None:
    """Put every item at the middle of its neighbours, rightwards and leftwards by turns."""
    place = {item: float(n) for column in layers.columns for n, item in enumerate(column)}
    for number in range(SWEEPS):
        rightwards = number % 2 == 0
        sides = layers.before if rightwards else layers.after
        for column in layers.columns if rightwards else reversed(layers.columns):
            middle = {
                item: sum(place[n] for n in sides[item]) / len(sides[item])
                if sides[item]
                else place[item]
                for item in column
            }
            column.sort(key=middle.__getitem__)
            shift = (len(column) - 1) / 2
            place.update({item: n - shift for n, item in enumerate(column)})


def placed(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Layer and place in it for each name; ``needs`` has each name after those it needs."""
    names = tuple(needs)
    return {
        names[item[0]]: (number, place)
        for number, column in enumerate(layered(names, needs).columns)
        for place, item in enumerate(item for item in column if item[1] < 0)
    }
