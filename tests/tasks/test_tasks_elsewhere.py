"""Tasks sent to an executor: what goes there, and what comes back of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field

import msgspec
import pytest
from tests.tasks.test_tasks_task import BUILD, MERGE

from cloche.broker.errors import data_of
from cloche.records.events import Bus, Event, Note, encode_event
from cloche.store import Outcome
from cloche.tasks.elsewhere import Answer, Elsewhere, Place
from cloche.tasks.errors import StepError
from cloche.tasks.task import Task, decode_task

PLACE = Place("store", "native", 2, "home")


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
def test_a_task_goes_whole_but_keeps_no_root_elsewhere(task: Task) -> None:
    executor = Answering(Answer(Outcome({"layer": "x"}, "c/a-1/log", 1.5, {"more": [1]})))
    outcome = Elsewhere(executor, PLACE)(task, Bus())
    assert outcome == Outcome({"layer": "x"}, "c/a-1/log", 1.5, {"more": [1]})
    assert executor.sent == [(msgspec.structs.replace(task, kept_as=None), PLACE)]


def test_events_are_heard_in_their_order_before_the_answer() -> None:
    said = [Note(text="one"), Note(text="two", level="warning")]
    lines = tuple(encode_event(event).decode() for event in said)
    heard: list[Event] = []
    Elsewhere(Answering(Answer(Outcome({}), events=lines)), PLACE)(BUILD, Bus(heard.append))
    assert heard == said


def test_a_failure_is_the_same_error_here_and_its_events_are_heard() -> None:
    error = StepError("c/a-1::r", "build", "it fails", log="/a/log", detail="x\ny", phase="compile")
    line = encode_event(Note(text="before")).decode()
    heard: list[Event] = []
    with pytest.raises(StepError) as caught:
        Elsewhere(Answering(Answer(error=data_of(error), events=(line,))), PLACE)(
            BUILD, Bus(heard.append)
        )
    assert data_of(caught.value) == data_of(error)
    assert str(caught.value) == str(error)
    assert [event.text for event in heard if isinstance(event, Note)] == ["before"]
