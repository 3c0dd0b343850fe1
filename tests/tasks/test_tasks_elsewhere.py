"""Tasks sent to an executor: what goes there, and what comes back of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest
from tests.tasks.test_tasks_task import BUILD, MERGE

from cloche.broker.errors import data_of
from cloche.errors import Exit
from cloche.records.events import Bus, Event, Note, encode_event
from cloche.store import Outcome, Store
from cloche.store.errors import StoreBusyError
from cloche.tasks.elsewhere import Answer, Elsewhere, Place
from cloche.tasks.errors import StepError
from cloche.tasks.task import Task, decode_task
from cloche.tasks.worker import Worker

PLACE = Place("store", "native", 2, "home")


@pytest.fixture
def worker(tmp_path: Path):
    with Store.open(tmp_path / "store") as store:
        yield Worker(store, engine=None)  # type: ignore[arg-type] # a use of it fails the test


@dataclass
class Answering:
    """An executor that gives one answer, and keeps what it was sent."""

    answer: Answer
    sent: list[tuple[Task, Place]] = field(default_factory=list)

    def submit(
        self, fn: Callable[[bytes, Place], bytes], /, text: bytes, place: Place
    ) -> Future[bytes]:
        self.sent.append((decode_task(text), place))
        future: Future[bytes] = Future()
        future.set_result(msgspec.json.encode(self.answer))
        return future


@pytest.mark.parametrize("task", [BUILD, MERGE], ids=["build", "merge"])
def test_a_task_goes_whole_but_keeps_no_root_elsewhere(task: Task, worker: Worker) -> None:
    executor = Answering(Answer(Outcome({"layer": "x"}, "c/a-1/log", 1.5, {"more": [1]})))
    outcome = Elsewhere(executor, PLACE)(task, worker)
    assert outcome == Outcome({"layer": "x"}, "c/a-1/log", 1.5, {"more": [1]})
    assert executor.sent == [(msgspec.structs.replace(task, kept_as=None), PLACE)]


def test_events_are_heard_in_their_order_before_the_answer(worker: Worker) -> None:
    said = [Note(text="one"), Note(text="two", level="warning")]
    lines = tuple(encode_event(event).decode() for event in said)
    heard: list[Event] = []
    listening = replace(worker, bus=Bus(heard.append))
    Elsewhere(Answering(Answer(Outcome({}), events=lines)), PLACE)(BUILD, listening)
    assert heard == said


def test_a_failure_is_the_same_error_here_and_its_events_are_heard(worker: Worker) -> None:
    error = StepError("c/a-1::r", "build", "it fails", log="/a/log", detail="x\ny", phase="compile")
    line = encode_event(Note(text="before")).decode()
    heard: list[Event] = []
    with pytest.raises(StepError) as caught:
        Elsewhere(Answering(Answer(error=data_of(error), events=(line,))), PLACE)(
            BUILD, replace(worker, bus=Bus(heard.append))
        )
    assert data_of(caught.value) == data_of(error)
    assert str(caught.value) == str(error)
    assert [event.text for event in heard if isinstance(event, Note)] == ["before"]


class Dying:
    """An executor whose process is killed by its task."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def submit(
        self, fn: Callable[[bytes, Place], bytes], /, text: bytes, place: Place
    ) -> Future[bytes]:
        return self._pool.submit(die, text)


def die(text: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return text


def test_an_executor_whose_process_dies_fails_the_step_with_the_status_of_the_host(
    worker: Worker,
) -> None:
    with ProcessPoolExecutor(1) as pool, pytest.raises(StepError, match="executor has ended") as e:
        Elsewhere(Dying(pool), PLACE)(BUILD, worker)
    assert e.value.status == Exit.HOST


def test_an_executor_that_takes_nothing_fails_the_step(worker: Worker) -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(StepError, match="executor failed: cannot schedule") as caught:
        Elsewhere(pool, PLACE)(BUILD, worker)
    assert caught.value.status == Exit.HOST


@dataclass
class Raising:
    """An executor whose future ends in an error."""

    error: Exception

    def submit(
        self, fn: Callable[[bytes, Place], bytes], /, text: bytes, place: Place
    ) -> Future[bytes]:
        future: Future[bytes] = Future()
        future.set_exception(self.error)
        return future


@pytest.mark.parametrize("kind", [KeyError, TimeoutError, OSError])
def test_an_error_of_the_executors_own_fails_the_step(
    worker: Worker, kind: type[Exception]
) -> None:
    with pytest.raises(StepError, match=r"executor failed: .*lost") as caught:
        Elsewhere(Raising(kind("lost")), PLACE)(BUILD, worker)
    assert caught.value.status == Exit.HOST


def test_an_error_with_a_known_cause_stays_what_it_is(worker: Worker) -> None:
    busy = StoreBusyError(Path("/store"), exclusive=True, holders=())
    with pytest.raises(StoreBusyError):
        Elsewhere(Raising(busy), PLACE)(BUILD, worker)


class Silent:
    """An executor that never comes to its tasks."""

    def __init__(self) -> None:
        self.future: Future[bytes] = Future()
        self.submitted = threading.Event()

    def submit(
        self, fn: Callable[[bytes, Place], bytes], /, text: bytes, place: Place
    ) -> Future[bytes]:
        self.submitted.set()
        return self.future


@pytest.mark.parametrize("all_of_them", [True, False], ids=["all", "a package"])
def test_a_stopped_task_fails_at_once_and_is_not_begun(worker: Worker, all_of_them: bool) -> None:
    executor = Silent()
    with ThreadPoolExecutor(1) as pool:
        failing = pool.submit(Elsewhere(executor, PLACE), BUILD, worker)
        assert executor.submitted.wait(60)
        worker.running.stop() if all_of_them else worker.running.stop_package(BUILD.package)
        with pytest.raises(StepError, match="stopped"):
            failing.result(10)
    assert executor.future.cancelled()
