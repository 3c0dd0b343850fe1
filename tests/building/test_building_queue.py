"""The ready queue."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.building.queue import at_once, carry_out

CHAIN = {"a": frozenset(), "b": frozenset({"a"}), "c": frozenset({"b"}), "d": frozenset()}


def run(waits_for, work, *, urgency=None, slots=1, keep_going=False):
    with ThreadPoolExecutor(at_once(slots)) as pool:
        return carry_out(
            waits_for,
            urgency or dict.fromkeys(waits_for, 1.0),
            work,
            executor=pool,
            slots=slots,
            keep_going=keep_going,
        )


def failing(*names):
    def work(name, _done, _leave):
        if name in names:
            raise RuntimeError(name)
        return name.upper()

    return work


def test_everything_is_done_once_and_after_what_it_waits_for():
    order = []

    def work(name, done, _leave):
        assert set(done) >= CHAIN[name]
        order.append(name)
        return name.upper()

    outcome = run(CHAIN, work, slots=2)
    assert sorted(order) == ["a", "b", "c", "d"]
    assert outcome.done == {name: name.upper() for name in CHAIN}


def test_the_most_urgent_comes_first():
    order = []
    free = {name: frozenset() for name in "abc"}

    def work(name, _done, _leave):
        order.append(name)
        return name

    run(free, work, urgency={"a": 1.0, "b": 3.0, "c": 2.0})
    assert order == ["b", "c", "a"]


def test_a_failure_stops_what_has_not_started():
    outcome = run(CHAIN, failing("a"), urgency={"a": 9.0, "b": 1.0, "c": 1.0, "d": 0.0})
    assert set(outcome.failed) == {"a"}
    assert outcome.skipped == ("b", "c", "d")


def test_keep_going_builds_all_that_does_not_depend_on_the_failure():
    outcome = run(CHAIN, failing("a"), keep_going=True)
    assert set(outcome.done) == {"d"}
    assert outcome.skipped == ("b", "c")


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_slots_are_for_builds_and_merges_go_beside_them(slots):
    """Nobody is merged to the end before all others have been begun or the room is full."""
    free = {str(n): frozenset() for n in range(9)}
    lock, building, merging = threading.Lock(), set(), set()
    most = {"building": 0, "all": 0}
    full = threading.Event()

    def work(name, _done, leave):
        with lock:
            building.add(name)
            most["building"] = max(most["building"], len(building))
            most["all"] = max(most["all"], len(building) + len(merging))
            if most["all"] == 2 * slots:
                full.set()
        with lock:
            building.discard(name)
            merging.add(name)
        leave()
        assert full.wait(30)  # for that others are begun while this one is merged
        with lock:
            merging.discard(name)
        return name

    outcome = run(free, work, slots=slots)
    assert set(outcome.done) == set(free)
    assert most["building"] <= slots
    assert most["all"] == 2 * slots


@given(st.data())
def test_any_graph_is_finished(data):
    size = data.draw(st.integers(1, 12))
    waits_for = {
        str(i): frozenset(str(j) for j in data.draw(st.sets(st.integers(0, i - 1))) if i)
        if i
        else frozenset()
        for i in range(size)
    }
    bad = data.draw(st.sets(st.sampled_from(sorted(waits_for))))
    outcome = run(waits_for, failing(*bad), slots=3, keep_going=True)
    assert set(outcome.done) | set(outcome.failed) | set(outcome.skipped) == set(waits_for)
    assert set(outcome.failed) <= bad
    for name in outcome.skipped:
        assert waits_for[name] - set(outcome.done)
