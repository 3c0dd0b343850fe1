"""Reports of a worker: events while a task runs, its end, and whether it is still wanted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import msgspec
import pytest
from tests.cluster.running import wait_for
from tests.cluster.test_cluster_facts import PLAN
from tests.tasks.test_tasks_task import BUILD

from cloche.cluster import peer as peers
from cloche.cluster import reporting
from cloche.cluster.calls import Call, Calls
from cloche.cluster.errands import Answer, Errand
from cloche.cluster.peer import Peer
from cloche.cluster.reporting import Reporter
from cloche.cluster.security import Tls
from cloche.records.events import Event, Note

SCHEDULER = "tcp://127.0.0.1:8786"


@pytest.fixture
def heard() -> list[str]:
    return []


@pytest.fixture
def call(heard: list[str]) -> Call:
    def hear(event: Event) -> None:
        assert isinstance(event, Note)
        heard.append(event.text)

    return Call("token", hear)


@pytest.fixture
def home(call: Call) -> Iterator[Peer]:
    """The plan's host, which knows the call."""
    calls = Calls()
    calls.begin(call)
    call.sent("attempt")
    made = Peer(SCHEDULER, Tls(), calls.handlers())
    yield made
    made.close()


@pytest.fixture
def reporter(home: Peer) -> Iterator[Callable[[Callable[[], None]], Reporter]]:
    """Makes a worker's reporter."""
    worker = Peer(SCHEDULER, Tls(), {})
    plan = msgspec.structs.replace(PLAN, peer=home.address)

    def make(stop: Callable[[], None]) -> Reporter:
        return Reporter(worker, Errand(BUILD, "token", "attempt", plan), "one", stop)

    yield make
    worker.close()


def test_events_are_heard_while_the_task_runs_and_its_end_after_them(
    reporter: Callable[..., Reporter], call: Call, heard: list[str]
) -> None:
    stopped = threading.Event()
    report = reporter(stopped.set)
    report(Note(text="a"))
    wait_for(lambda: heard == ["a"])
    assert call.answer is None
    report(Note(text="b"))
    report(Note(text="c"))
    answer = Answer("one", "tcp://one")
    report.close(answer)
    assert heard == ["a", "b", "c"]
    assert call.answer == answer
    assert not stopped.is_set()


def test_a_call_that_is_stopped_ends_the_task(
    reporter: Callable[..., Reporter], call: Call
) -> None:
    stopped = threading.Event()
    report = reporter(stopped.set)
    wait_for(lambda: call.silence is not None)
    call.kill()
    assert stopped.wait(60)
    assert report.unwanted
    report.close(Answer("one", "tcp://one"))


def test_a_task_whose_plan_is_gone_is_stopped(
    reporter: Callable[..., Reporter],
    call: Call,
    home: Peer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporting, "SILENCE", 0.5)
    monkeypatch.setattr(reporting, "_ANSWERING", 0.5)
    monkeypatch.setattr(reporting, "_TIMEOUT", 0.5)
    monkeypatch.setattr(peers, "CONNECT", 0.5)
    stopped = threading.Event()
    report = reporter(stopped.set)
    wait_for(lambda: call.silence is not None)
    assert not stopped.is_set()
    home.close()
    assert stopped.wait(20)
    report.close(Answer("one", "tcp://one"))  # does not wait for ever
