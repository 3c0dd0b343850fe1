"""Relations as bit sets: closures with and without circles, and the names of a set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cloche.plan.order import bits, chosen, closures, mask


@st.composite
def relations(draw: st.DrawFn) -> list[set[int]]:
    size = draw(st.integers(0, 12))
    places = st.sets(st.integers(0, size - 1), max_size=3) if size else st.nothing()
    return [draw(places) for _ in range(size)]


@given(relations())
def test_a_closure_holds_what_can_be_reached_and_its_start(needs: list[set[int]]) -> None:
    for place, found in enumerate(closures(needs)):
        reached, todo = set[int](), [place]
        while todo:
            here = todo.pop()
            if here not in reached:
                reached.add(here)
                todo.extend(needs[here])
        assert set(bits(found)) == reached


@given(st.sets(st.integers(0, 99)))
def test_the_names_of_a_set_come_in_order(places: set[int]) -> None:
    names = [f"n{place}" for place in range(100)]
    assert chosen(names, mask(places)) == tuple(f"n{place}" for place in sorted(places))
