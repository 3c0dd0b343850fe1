"""Runs tasks by an executor, any `concurrent.futures.Executor`, in other processes.

Each process has its own store and engine. A task's inputs are copied there from the plan's store,
its home, and the outputs are copied back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Future
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cloche.broker import open_engine
from cloche.broker.errors import data_of
from cloche.errors import ClocheError, Exit
from cloche.records.events import Bus, Event, decode_events, encode_event
from cloche.sandbox import userns
from cloche.store import Outcome, Store
from cloche.tasks.errors import StepError
from cloche.tasks.jobserver import Jobserver
from cloche.tasks.run import run
from cloche.tasks.task import BuildTask, Task, decode_task, encode_task
from cloche.tasks.transfer import bring_blobs, bring_inputs, bring_log, bring_trees
from cloche.tasks.worker import Worker

_PATIENCE = 0.5  # seconds between two looks whether a task is stopped


class Place(msgspec.Struct, frozen=True):
    """What a process of an executor works with, and the plan's store.

    ``cores`` is the number of jobs that the tasks of one process share.
    """

    store: str
    engine: str
    cores: int
    home: str
    check: str = "off"


class Answer(msgspec.Struct, frozen=True):
    """The result: an outcome, or an error as data; and the events, one JSON line each."""

    outcome: Outcome | None = None
    error: dict[str, Any] | None = None
    events: tuple[str, ...] = ()


class Submits(Protocol):
    """The interface of an executor: `submit` of `concurrent.futures.Executor`."""

    def submit(
        self, fn: Callable[[bytes, Place], bytes], /, text: bytes, place: Place
    ) -> Future[bytes]:
        """Call the function in another process."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Runs tasks of a plan. Safe to use from several threads.

    The root of a failed step is not kept: it would lie in another store.
    """

    executor: Submits
    place: Place

    def __call__(self, task: Task, worker: Worker) -> Outcome:
        """Run a task as `cloche.tasks.run.run`; its events reach the worker's bus when it is done.

        A task that is stopped fails here at once; its process still finishes it, and nothing of the
        result comes back. Raises StepError.
        """
        task = msgspec.structs.replace(task, kept_as=None)
        try:
            future = self.executor.submit(carry_out, encode_task(task), self.place)
        except Exception as error:  # each executor has its own, for having ended
            raise _executor_failed(task, error) from error
        submitted = _Submitted(future)
        worker.running.add(submitted, task.package)
        try:
            text = submitted.result(task)
        finally:
            worker.running.discard(submitted)
        answer = msgspec.json.decode(text, type=Answer)
        for event in decode_events(line.encode() for line in answer.events):
            worker.bus(event)
        if answer.outcome is None:
            raise ClocheError.from_data(answer.error or {"what": "no answer"})
        return answer.outcome


class _Submitted:
    """A submitted task, which can be stopped like a running sandbox."""

    def __init__(self, future: Future[bytes]) -> None:
        self._future = future
        self._stopped = False

    def kill(self) -> None:
        """Wait no longer, and do not start it if it has not started."""
        self._stopped = True
        self._future.cancel()

    def result(self, task: Task) -> bytes:
        """The encoded answer. Raises StepError if the task is stopped or its executor ends."""
        while not self._stopped:
            try:
                return self._future.result(_PATIENCE)
            except ClocheError:
                raise
            except (Exception, CancelledError) as error:
                waiting = isinstance(error, TimeoutError) and not self._future.done()
                if not waiting and not self._stopped:
                    raise _executor_failed(task, error) from error
        raise StepError(task.package, _step_of(task), "stopped")


def _step_of(task: Task) -> str:
    return "build" if isinstance(task, BuildTask) else "merge"


def _executor_failed(task: Task, error: Exception) -> StepError:
    """The error for whatever an executor raises besides a task's own."""
    ended = isinstance(error, BrokenExecutor | CancelledError)
    reason = f"its executor {'has ended' if ended else 'failed'}: {error or type(error).__name__}"
    return StepError(task.package, _step_of(task), reason, status=Exit.HOST)


_workers: dict[Place, Worker] = {}  # of this process, by what they work with
_open = ExitStack()  # what they hold, for as long as this process lives
_opening = threading.Lock()


def carry_out(text: bytes, place: Place) -> bytes:
    """Run an encoded task in this process; return an encoded `Answer`.

    The first call opens store and engine. For an ordinary user it enters the user namespace, which
    is impossible in a process with threads.
    """
    task, events = decode_task(text), list[str]()

    def note(event: Event) -> None:
        events.append(encode_event(event).decode())

    userns.enter()
    with _opening:
        worker = _workers.get(place) or _workers.setdefault(place, _opened(place))
    with Store.open(Path(place.home)) as home:
        try:
            bring_inputs(task, home, worker.store)
            outcome = run(task, replace(worker, bus=Bus(note)))
            answer = Answer(_brought_back(outcome, worker.store, home))
        except Exception as error:
            answer = _answer_of(error, worker.store, home)
    return msgspec.json.encode(msgspec.structs.replace(answer, events=tuple(events)))


def _opened(place: Place) -> Worker:
    engine = open_engine(place.engine)
    store = Store.open(Path(place.store))
    room = _open.enter_context(store.workspace("jobserver"))
    jobserver = Jobserver(room / "fifo", place.cores)
    return Worker(store, engine, jobserver=jobserver, check=place.check)


def _brought_back(outcome: Outcome, source: Store, home: Store) -> Outcome:
    """Copy a task's outputs to the plan's store."""
    ids = outcome.outputs.values()
    bring_trees((id for id in ids if source.has_tree(id)), source, home)
    bring_blobs((id for id in ids if source.has_blob(id)), source, home)
    if outcome.log is None:
        return outcome
    log = bring_log(source.logs / outcome.log, source, home)
    return replace(outcome, log=str(log.relative_to(home.logs)))


def _answer_of(error: Exception, source: Store, home: Store) -> Answer:
    """An error as data, with its log copied to the plan's store."""
    if isinstance(error, StepError) and error.log:
        error.log = str(bring_log(Path(error.log), source, home))
    return Answer(error=data_of(error))
