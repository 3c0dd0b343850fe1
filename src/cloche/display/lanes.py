"""A graph as lines of text: one vertex a row, its edges as lanes at the left, as `git log` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloche.display.theme import DOWN, LEFT, RIGHT, UP
from cloche.plan.order import Order, shown_edges

VERTEX = 16  # a cell that holds the row's vertex
EMPTY, PASSING = (0, False), (UP | DOWN, False)


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A vertex and the cells left of its text: directions, whether a line goes on rightwards.

    Equal by identity, so that it can be a key of caches.
    """

    place: int
    cells: tuple[tuple[int, bool], ...]

    @property
    def width(self) -> int:
        """Columns of text that the cells take."""
        return 2 * len(self.cells)


def draw_lanes(order: Order, shown: Sequence[int]) -> Iterator[Row]:
    """Rows for these places, in this order; a lane leads from a vertex to all that wait for it."""
    edges = shown_edges(order, shown)
    left = dict.fromkeys(shown, 0)
    for sources in edges.values():
        for source in sources:
            left[source] += 1
    lanes: list[int | None] = []
    busy: set[int] = set()
    for place in shown:
        joined = {c for c, source in enumerate(lanes) if source in edges[place]}
        for source in edges[place]:
            left[source] -= 1
        ending = {c for c in joined if left[lanes[c] or 0] == 0}
        own = min(ending) if ending else _free(lanes, busy)
        lanes.extend([None] * (own + 1 - len(lanes)))
        yield Row(place, _cells(lanes, joined, ending, own))
        busy = {c for c, source in enumerate(lanes) if source is not None} | {own}
        for column in ending:
            lanes[column] = None
        lanes[own] = place if left[place] else None
        while lanes and lanes[-1] is None:
            lanes.pop()


def width_of(rows: Sequence[Row]) -> int:
    """Columns of text that the lanes take."""
    return max((row.width for row in rows), default=0)


def _free(lanes: Sequence[int | None], busy: set[int]) -> int:
    """The first column that is empty here and was in the row above: nothing seems to go on."""
    for column, source in enumerate(lanes):
        if source is None and column not in busy:
            return column
    column = len(lanes)
    while column in busy:
        column += 1
    return column


def _cells(
    lanes: Sequence[int | None], joined: set[int], ending: set[int], own: int
) -> tuple[tuple[int, bool], ...]:
    low, high = min((own, *joined)), max((own, *joined))
    cells = [EMPTY if source is None else PASSING for source in lanes]
    for column in range(low, high + 1):
        if column == own:
            directions = VERTEX
        elif column in joined:
            directions = UP if column in ending else UP | DOWN
            directions |= RIGHT if column < own or column < high else 0
            directions |= LEFT if column > own or column > low else 0
        elif lanes[column] is not None:
            directions = UP | DOWN  # crossed, not joined: the horizontal line has a gap here
        else:
            directions = LEFT | RIGHT
        cells[column] = (directions, column < high)
    return tuple(cells)
