"""Which packages a picture shows when there is room for some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile

from cloche.display.lanes import Row, draw_lanes
from cloche.plan.order import Order, bits

AROUND = 12  # packages shown beside those that run or failed, at most


@dataclass(frozen=True, slots=True)
class Layout:
    """``places`` in the order they are drawn; ``rows`` of the graph, or None for a plain grid."""

    places: tuple[int, ...]
    rows: tuple[Row, ...] | None


@dataclass(frozen=True, slots=True)
class Sets:
    """Places by what is to be done with them, as bit sets; ``chosen`` is always shown."""

    running: int
    failed: int
    waiting: int
    built: int
    chosen: int = 0


@lru_cache(maxsize=8)
def lay_out(order: Order, sets: Sets, room: int, lanes: int) -> Layout:
    """Choose what is shown in ``room`` rows, with at most ``lanes`` columns for edges.

    What runs or failed is always shown, each once. When that alone is more than there are
    rows, there is no graph. Otherwise neighbours fill the room: what waits for the running ones,
    what they waited for, and so on outwards.
    """
    core = sets.running | sets.failed | sets.chosen
    if core.bit_count() > room:
        return Layout(tuple(bits(core)), None)
    around = _around(order, sets, core, min(room - core.bit_count(), AROUND))
    for beside in (around, around[: len(around) // 2], []):
        shown = tuple(sorted((*bits(core), *beside)))
        rows = tuple(takewhile(lambda row: row.width <= lanes, draw_lanes(order, shown)))
        if len(rows) == len(shown):
            return Layout(shown, rows)
    return Layout(tuple(bits(core)), None)


def _around(order: Order, sets: Sets, core: int, room: int) -> list[int]:
    """Neighbours in the order of their worth."""
    hubs = sorted(
        bits(core), key=lambda p: (-(order.above[p] & sets.waiting).bit_count(), p)
    ) or list(_ready(order, sets, room))
    ended = ~(sets.waiting | sets.running)

    def dependents(place: int) -> list[int]:
        found = bits(order.wanted[place] & sets.waiting)
        return sorted(found, key=lambda p: ((order.needs[p] & ~ended).bit_count(), p))

    def dependencies(place: int) -> list[int]:
        chosen = bool(sets.chosen >> place & 1)  # of that one, what it waits for is asked, too
        wanted = sets.built | (sets.waiting if chosen else 0)
        return list(bits(order.needs[place] & wanted))[::-1]

    chosen: list[int] = [] if core else hubs[:room]
    taken = core
    for place in chosen:
        taken |= 1 << place
    while len(chosen) < room:
        before = len(chosen)
        for side in (dependents, dependencies):
            for place in _fresh(hubs, side, taken):
                if len(chosen) < room and not taken >> place & 1:
                    chosen.append(place)
                    taken |= 1 << place
        if len(chosen) == before:
            hubs = [p for p in chosen if p not in hubs] or []
            if not any(_fresh(hubs, side, taken) for side in (dependents, dependencies)):
                break
    return chosen


def _fresh(hubs: Sequence[int], side: Callable[[int], list[int]], taken: int) -> list[int]:
    """The best neighbour of each hub that is not taken yet."""
    found = []
    for hub in hubs:
        best = next((p for p in side(hub) if not taken >> p & 1), None)
        if best is not None:
            found.append(best)
    return found


def _ready(order: Order, sets: Sets, room: int) -> Iterator[int]:
    """When nothing runs: what could start next."""
    found = (p for p in bits(sets.waiting) if not order.needs[p] & sets.waiting)
    for place, _ in zip(found, range(room), strict=False):
        yield place
