"""How long it will take: the rest of the plan played through with the times of earlier runs."""

from __future__ import annotations

import heapq
from functools import lru_cache
from statistics import median

from cloche.display.state import State
from cloche.plan.order import Order, bits

GUESS = 10.0  # seconds for a package, when no package at all is known
OVERDUE = 0.1  # what runs longer than ever is thought to need this part of its time again


def time_left(state: State, now: float) -> float | None:
    """Seconds until the last package, by the queue's own rule; None while that is unknown.

    It is unknown as long as more than half of what is left was never built here.
    """
    left = [*bits(_to_come(state)), *bits(state.set("running"))]
    known = [seconds for seconds in state.expected if seconds]
    unknown = sum(1 for place in left if state.expected[place] is None)
    if not left or unknown * 2 > len(left):
        return None
    usual = median(known) if known else GUESS
    needs = {place: _rest(state, place, usual, now) for place in left}
    return _played(state, needs)


def _to_come(state: State) -> int:
    """Packages whose work will begin, as a bit set."""
    return state.set("waiting") & ~state.doomed


def _rest(state: State, place: int, usual: float, now: float) -> float:
    expected = state.expected[place]
    seconds = usual if expected is None else expected
    if not state.set("running") >> place & 1:
        return seconds
    spent = max(0.0, now - state.nodes[place].since)
    return max(seconds - spent, spent * OVERDUE)


def _played(state: State, seconds: dict[int, float]) -> float:
    """The end of a ready queue that takes the longest remaining path first."""
    dependents = _dependents(state.order)
    paths: dict[int, float] = {}
    for place in sorted(seconds, reverse=True):
        after = max((paths[d] for d in dependents[place] if d in paths), default=0.0)
        paths[place] = seconds[place] + after
    left = _to_come(state) | state.set("running")
    missing = {place: (state.order.needs[place] & left).bit_count() for place in seconds}
    running = [(seconds[place], place) for place in bits(state.set("running"))]
    heapq.heapify(running)
    ready = [(-paths[p], p) for p in bits(_to_come(state)) if not missing[p]]
    heapq.heapify(ready)
    clock = 0.0
    while running or ready:
        while ready and len(running) < state.jobs:
            _, place = heapq.heappop(ready)
            heapq.heappush(running, (clock + seconds[place], place))
        clock, place = heapq.heappop(running)
        for other in dependents[place]:
            if other in missing:
                missing[other] -= 1
                if not missing[other]:
                    heapq.heappush(ready, (-paths[other], other))
    return clock


@lru_cache(maxsize=1)
def _dependents(order: Order) -> tuple[tuple[int, ...], ...]:
    """What waits for each place, by itself."""
    return tuple(tuple(bits(wanted)) for wanted in order.wanted)
