"""What workers report about a call: each event once, in order; and whether it is still wanted."""

from __future__ import annotations

import threading

import pytest

from cloche.cluster.calls import Call
from cloche.cluster.errands import Answer, Report
from cloche.records.events import Event, Note, encode_event


def lines(*texts: str) -> tuple[str, ...]:
    return tuple(encode_event(Note(text=text)).decode() for text in texts)


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def call(heard: list[str]) -> Call:
    def hear(event: Event) -> None:
        assert isinstance(event, Note)
        heard.append(event.text)

    made = Call("token", hear)
    made.sent("first")
    return made


def test_events_that_are_sent_again_are_heard_once(call: Call, heard: list[str]) -> None:
    assert call.report(Report("token", "first", "one", 0, lines("a", "b")))
    assert call.report(Report("token", "first", "one", 0, lines("a", "b", "c")))
    assert call.report(Report("token", "first", "one", 3, lines("d")))
    assert call.report(Report("token", "first", "one", 3, lines("d")))
    assert heard == ["a", "b", "c", "d"]


def test_an_answer_ends_the_waiting(call: Call) -> None:
    answer = Answer("one", "tcp://one")
    timer = threading.Timer(0.05, call.report, [Report("token", "first", "one", 0, (), answer)])
    timer.start()
    call.wait(60)
    assert call.answer == answer
    timer.join()


def test_an_attempt_that_was_given_up_is_not_wanted(call: Call, heard: list[str]) -> None:
    call.sent("second")
    answer = Answer("one", "tcp://one")
    assert not call.report(Report("token", "first", "one", 0, lines("late"), answer))
    assert call.report(Report("token", "second", "two", 0, lines("a")))
    assert heard == ["a"]
    assert call.answer is None


def test_a_stopped_call_wants_nothing_more(call: Call) -> None:
    assert call.report(Report("token", "first", "one", 0))
    call.kill()
    assert not call.report(Report("token", "first", "one", 0))
    call.wait(60)  # returns at once


def test_a_task_that_dask_moved_is_told_anew_and_only_by_its_new_worker(
    call: Call, heard: list[str]
) -> None:
    assert call.report(Report("token", "first", "one", 0, lines("a", "b")))
    assert call.report(Report("token", "first", "two", 0, lines("a")))
    assert not call.report(Report("token", "first", "one", 2, lines("c")))  # back again
    assert call.report(Report("token", "first", "two", 1, lines("b")))
    assert heard == ["a", "b", "the worker one is lost; two has its task", "a", "b"]


def test_silence_is_measured_from_the_first_report(call: Call) -> None:
    assert call.silence is None
    call.report(Report("token", "first", "one", 0))
    assert call.silence is not None
    assert call.silence < 5
    call.sent("second")
    assert call.silence is None
