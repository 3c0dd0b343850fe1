"""The drawing says exactly which of the shown packages wait for which."""

from hypothesis import given, settings
from hypothesis import strategies as st

from cloche.display.lanes import VERTEX, draw_lanes
from cloche.display.layout import Sets, lay_out
from cloche.display.theme import DOWN, LEFT, RIGHT, UP
from cloche.plan.order import bits, make_order, mask, reduced, shown_edges


@st.composite
def orders(draw, most=14):
    names = [f"c/p{n}-1" for n in range(draw(st.integers(1, most)))]
    edges = {
        name: draw(st.lists(st.sampled_from(names[:n]), max_size=4, unique=True)) if n else []
        for n, name in enumerate(names)
    }
    return make_order(names, edges)


def traced(rows):
    """Read the edges back from the drawing, as an eye does: along lines, across gaps."""
    edges = {}
    lanes = {}
    for row in rows:
        cells = row.cells
        own = next(c for c, (directions, _) in enumerate(cells) if directions == VERTEX)
        found = [lanes[own]] if own in lanes else []
        for step, towards, away in ((-1, RIGHT, LEFT), (1, LEFT, RIGHT)):
            column = own
            while 0 <= column + step < len(cells) and cells[min(column, column + step)][1]:
                column += step
                directions = cells[column][0]
                if directions & towards and directions & UP:
                    found.append(lanes[column])
                if directions & towards and not directions & away:
                    break
        edges[row.place] = tuple(sorted(found))
        kept = {c: lanes[c] for c, (d, _) in enumerate(cells) if c in lanes and d & DOWN}
        lanes = {**kept, own: row.place}
    return edges


@given(orders(), st.data())
@settings(max_examples=200, deadline=None)
def test_an_eye_reads_the_edges_back(order, data):
    places = range(len(order.names))
    shown = sorted(data.draw(st.sets(st.sampled_from(places), min_size=1)))
    rows = tuple(draw_lanes(order, shown))
    assert [row.place for row in rows] == shown
    # A lane whose last dependent has come ends; one that ends below its vertex joined nothing.
    assert traced(rows) == shown_edges(order, shown)


@given(orders())
@settings(deadline=None)
def test_transitive_edges_are_left_out_and_nothing_else(order):
    for place in range(len(order.names)):
        direct = set(bits(order.needs[place]))
        reached = mask(direct)
        for other in direct:
            reached |= order.below[other]
            assert not any(order.below[o] >> other & 1 for o in direct)
        assert reached == order.below[place]
    again = make_order(order.names, reduced(order))
    assert (again.needs, again.below, again.above) == (order.needs, order.below, order.above)


@given(orders(most=40), st.data(), st.integers(0, 30), st.integers(2, 40))
@settings(max_examples=150, deadline=None)
def test_running_and_failed_packages_are_never_lost_and_nothing_is_shown_twice(
    order, data, rows, lanes
):
    statuses = data.draw(
        st.lists(
            st.sampled_from(["running", "failed", "waiting", "built", "reused"]),
            min_size=len(order.names), max_size=len(order.names),
        )
    )  # fmt: skip
    of = {s: mask(p for p, x in enumerate(statuses) if x == s) for s in set(statuses)}
    sets = Sets(*(of.get(s, 0) for s in ("running", "failed", "waiting", "built")))
    layout = lay_out(order, sets, rows, lanes)
    wanted = set(bits(sets.running | sets.failed))
    assert wanted <= set(layout.places)
    assert len(set(layout.places)) == len(layout.places)
    if layout.rows is not None:
        assert len(layout.rows) <= rows
        assert tuple(row.place for row in layout.rows) == layout.places
    assert not set(layout.places) & set(bits(of.get("reused", 0)))
