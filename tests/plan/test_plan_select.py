"""Parts of a graph."""

import pytest

from cloche.plan.select import between, kept, turned, within

#   top → left → base        top → loop ⇄ knot → base       alone
EDGES = {
    "base": (),
    "left": ("base",),
    "loop": ("knot",),
    "knot": ("loop", "base"),
    "top": ("left", "loop"),
    "alone": (),
}


@pytest.mark.parametrize(
    ("start", "depth", "found"),
    [
        ("top", 0, {"top"}),
        ("top", 1, {"top", "left", "loop"}),
        ("top", None, {"top", "left", "loop", "knot", "base"}),
        ("alone", None, {"alone"}),
        ("loop", None, {"loop", "knot", "base"}),
    ],
)
def test_what_lies_within_some_steps(start, depth, found):
    assert within(EDGES, [start], depth) == found


def test_backwards():
    assert within(turned(EDGES), ["base"], 1) == {"base", "left", "knot"}
    assert within(turned(EDGES), ["left"]) == {"left", "top"}


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("top", "base", {"top", "left", "loop", "knot", "base"}),
        ("left", "base", {"left", "base"}),
        ("knot", "base", {"knot", "base"}),  # not by way of loop, which leads back to knot
        ("base", "top", set()),
        ("alone", "top", set()),
        ("top", "top", {"top"}),
    ],
)
def test_what_lies_between_two(first, last, found):
    assert between(EDGES, first, last) == found


def test_the_edges_among_some():
    assert kept(EDGES, {"top", "left", "knot"}) == {"left": (), "knot": (), "top": ("left",)}
