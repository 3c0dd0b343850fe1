"""The calls of a session: they are counted, stopped, waited for, and end in known errors."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloche.building.errors import BuildError
from cloche.errors import ClocheError, Exit
from cloche.session.ongoing import CallStoppedError, Ongoing
from cloche.session.opening import refusals_named
from cloche.tasks.errors import StepError, StoppedError

FAULT = ClocheError("a fault")


def test_closing_stops_calls_and_waits_for_them() -> None:
    ongoing, begun, closing = Ongoing(), threading.Event(), threading.Event()
    ended: list[str] = []

    class Step:
        def kill(self) -> None:
            closing.set()

    def call() -> None:
        with ongoing.call() as running:
            running.add(Step())
            begun.set()
            assert closing.wait(60)
            ended.append("the call")
            raise FAULT

    with ThreadPoolExecutor(1) as threads:
        future = threads.submit(call)
        assert begun.wait(60)
        ongoing.close()
        ended.append("the session")
        error = future.exception(10)
    assert ended == ["the call", "the session"]
    assert isinstance(error, CallStoppedError)
    assert (error.status, error.__cause__) == (Exit.INTERRUPTED, FAULT)


def test_a_closed_session_takes_no_calls() -> None:
    ongoing = Ongoing()
    ongoing.close()
    with pytest.raises(ClocheError, match="the session is closed"), ongoing.call():
        pytest.fail("it was called")


def test_a_call_after_a_stop_is_not_stopped() -> None:
    ongoing = Ongoing()
    ongoing.stop()
    with ongoing.call() as running:
        assert not running.stopped
    with pytest.raises(ClocheError, match="a fault") as caught, ongoing.call():
        raise FAULT
    assert caught.value is FAULT


@pytest.mark.parametrize("error", [OSError(2, "none"), sqlite3.OperationalError("locked")])
def test_what_the_system_refuses_has_a_known_cause(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(ClocheError) as caught, refusals_named(tmp_path):
        raise error
    assert caught.value.status == Exit.HOST


def test_a_sink_whose_reader_is_gone_says_so_itself(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), refusals_named(tmp_path):
        raise BrokenPipeError


def test_a_build_error_says_why_also_in_another_process() -> None:
    errors = (StoppedError("a/a-1", "build"), StepError("a/b-1", "build", "no compiler"))
    made = BuildError(["a/a-1", "a/b-1"], 0, errors)
    assert made.detail == "a/b-1: build failed: no compiler"
    again = ClocheError.from_data(made.as_data())
    assert isinstance(again, BuildError)
    assert [str(each) for each in again.errors] == [str(each) for each in errors]
    assert again.detail == made.detail
