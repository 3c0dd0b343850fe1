"""How long it will take."""

import pytest

from cloche.display.estimate import time_left
from cloche.display.state import State, fold
from cloche.records import events


def planned(edges, expected, jobs, *, keep_going=True):
    names = tuple(sorted({*edges, *expected}))
    plan = events.Planned(
        time=0.0, machine="m", packages=names, edges=edges, expected=expected, jobs=jobs,
        keep_going=keep_going,
    )  # fmt: skip
    return fold(State(), plan)


def test_a_chain_takes_the_sum_however_many_may_run():
    edges = {"b": ("a",), "c": ("b",)}
    assert time_left(planned(edges, {"a": 10, "b": 20, "c": 30}, 8), 0.0) == 60


@pytest.mark.parametrize(("jobs", "seconds"), [(1, 60), (2, 30), (3, 30), (6, 30)])
def test_what_is_independent_shares_the_jobs(jobs, seconds):
    assert time_left(planned({}, {"a": 30, "b": 20, "c": 10}, jobs), 0.0) == seconds


def test_what_runs_needs_its_rest_and_what_is_overdue_a_little_more():
    state = planned({}, {"a": 60}, 1)
    state = fold(state, events.Started(time=100.0, package="a", step="build"))
    assert time_left(state, 120.0) == pytest.approx(40)
    assert time_left(state, 300.0) == pytest.approx(20)


def test_what_will_be_reused_takes_no_time():
    assert time_left(planned({"b": ("a",)}, {"a": 0.0, "b": 30}, 1), 0.0) == 30


def test_nothing_is_told_when_most_is_unknown_or_all_is_done():
    assert time_left(planned({"b": (), "c": ()}, {"a": 5}, 1), 0.0) is None
    assert time_left(State(), 0.0) is None


def test_a_few_unknown_ones_are_taken_for_usual():
    assert time_left(planned({"x": ()}, {"a": 10, "b": 20, "c": 30}, 1), 0.0) == 80


@pytest.mark.parametrize(("keep_going", "seconds"), [(True, 10 + 30), (False, 10)])
def test_what_will_not_be_started_takes_no_time(keep_going, seconds):
    state = planned(
        {"b": ("a",), "c": ("b",)}, {"a": 10, "b": 500, "c": 500, "d": 10, "e": 30}, 1,
        keep_going=keep_going,
    )  # fmt: skip
    state = fold(state, events.Started(time=0.0, package="d", step="build"))
    state = fold(state, events.Done(time=0.0, package="a", how="failed"))
    assert time_left(state, 0.0) == seconds
