"""The plan's side of a cluster: gives tasks to workers, and brings back what they made."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

import msgspec

from cloche.cluster.calls import Call, Calls
from cloche.cluster.connection import Connection, Settings
from cloche.cluster.errands import Answer
from cloche.cluster.errors import TransferError
from cloche.cluster.giving import giving
from cloche.cluster.sending import LostError, Sending, step_of
from cloche.cluster.taking import Source
from cloche.errors import ClocheError, Exit
from cloche.records.events import Event, Note, Started
from cloche.records.logs import new_log, put_away
from cloche.store import Outcome, Store
from cloche.tasks.errors import StepError
from cloche.tasks.task import BuildTask, Task
from cloche.tasks.worker import Worker

_AILING = 120.0  # seconds for which a worker that failed a task is avoided
_PEERS = 3  # addresses of workers for one layer


class Cluster:
    """Runs tasks on a cluster, as `cloche.tasks.run.run`. Safe to use from several threads.

    It connects when it is first used: a program opens its session before.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._calls = Calls()
        self._connection: Connection | None = None
        self._hear: Callable[[Event], None] = lambda event: None
        self._failing: dict[str, float] = {}  # when a worker failed a task, by its name
        self._having: dict[str, dict[str, None]] = {}  # addresses of workers, by id

    def connect(self, store: Store, hear: Callable[[Event], None]) -> int:
        """Find the scheduler and workers that fit; return the number of their cores.

        ``hear`` gets notes about workers. Raises ClusterError if there is none.
        """
        self._hear = hear
        connection = self._connected(store)
        if not connection.members.fit:
            raise connection.nobody()
        return connection.members.cores

    def __call__(self, task: Task, worker: Worker) -> Outcome:
        """Run a task on a worker; its outputs are in this worker's store when this returns.

        Its events come while it runs. Raises StepError and ClusterError.
        """
        return self.run(task, worker)[0]

    def run(self, task: Task, worker: Worker, among: Sequence[str] = ()) -> tuple[Outcome, str]:
        """The same on one of the workers ``among``, if there is any; with the name of the one."""
        task = msgspec.structs.replace(task, kept_as=None)
        back = _Back(task, worker)
        call = Call(uuid4().hex, back.hear)
        self._calls.begin(call)
        worker.running.add(call, task.package)
        try:
            connection = self._connected(worker.store)
            sending = Sending(
                self.settings,
                connection,
                task,
                call,
                worker.check,
                self._peers(task, connection),
                among,
                avoided=self._ailing(),
            )
            while True:
                try:
                    answer = sending.attempt()
                    back.source = Source(connection.peer, answer.peer)
                    outcome = back.outcome(answer)
                except LostError as lost:
                    call.answer = None
                    if lost.worker is not None:
                        cause = lost.__cause__
                        sending.excluded.append(lost.worker)
                        self._failing[lost.worker] = time.monotonic()
                        sending.failure = cause if isinstance(cause, ClocheError) else None
                    text = f"{task.cpv}: {lost}; the {step_of(task)} is sent again"
                    worker.bus(Note(text=text, level="warning"))
                    continue
                self._note(task, outcome, answer.peer)
                return outcome, answer.worker
        finally:
            worker.running.discard(call)
            self._calls.end(call)

    def workers(self) -> list[str]:
        """The names of the workers that fit, as they were seen last."""
        connection = self._connection
        return [each.name for each in connection.members.fit.values()] if connection else []

    def _connected(self, store: Store) -> Connection:
        with self._lock:
            if self._connection is None:
                handlers = {**giving(store), **self._calls.handlers()}
                self._connection = Connection(self.settings, store, handlers, self._say)
            return self._connection

    def _say(self, text: str, level: Literal["info", "warning"]) -> None:
        self._hear(Note(text=text, level=level))

    def _peers(self, task: Task, connection: Connection) -> dict[str, tuple[str, ...]]:
        """Workers that have some of a task's layers."""
        alive = {each.peer for each in connection.members.fit.values()}
        with self._lock:
            known = {id: alive & self._having.get(id, {}).keys() for id in task.trees}
        return {id: tuple(sorted(found))[:_PEERS] for id, found in known.items() if found}

    def _ailing(self) -> list[str]:
        """Workers that failed a task just now: without disk space, for example."""
        failing = list(self._failing.items())
        return [name for name, when in failing if time.monotonic() - when < _AILING]

    def _note(self, task: Task, outcome: Outcome, address: str) -> None:
        with self._lock:
            for id in (*task.trees, *outcome.outputs.values()):
                self._having.setdefault(id, {})[address] = None

    def close(self) -> None:
        """Give the connections up; what still runs is stopped."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Back:
    """What comes back of one task to the plan's store."""

    source: Source

    def __init__(self, task: Task, worker: Worker) -> None:
        self._task, self._worker = task, worker
        self._log: Path | None = None

    def hear(self, event: Event) -> None:
        """Pass an event on, with the path of a log on this host."""
        if isinstance(event, Started) and event.log is not None:
            event = msgspec.structs.replace(event, log=str(self._place()))
        self._worker.bus(event)

    def _place(self) -> Path:
        if self._log is None:
            self._log = new_log(self._worker.store, self._task.log_name, step_of(self._task))
        return self._log

    def outcome(self, answer: Answer) -> Outcome:
        """The outcome of an answer, with outputs and log in the store. Raises its error.

        Raises LostError if the fault is the worker's.
        """
        if answer.outcome is None:
            raise self._error(answer)
        store, outputs = self._worker.store, answer.outcome.outputs
        try:
            if isinstance(self._task, BuildTask):
                self.source.blobs(outputs.values(), store)
            else:
                self.source.trees(outputs.values(), store)
            if answer.log is None:
                return answer.outcome
            log = self.source.log(answer.log, store, self._place())
        except TransferError as error:
            why = f"the result of {answer.worker} did not arrive ({error.what})"
            raise LostError(why, answer.worker) from error
        return replace(answer.outcome, log=put_away(store, self._task.log_name, log))

    def _error(self, answer: Answer) -> ClocheError:
        error = ClocheError.from_data(answer.error or {"what": "no answer"})
        if error.status == Exit.HOST:
            raise LostError(f"{answer.worker}: {error.what}", answer.worker) from error
        if isinstance(error, StepError):
            error.log = None
            with contextlib.suppress(TransferError):
                if answer.log is not None:
                    error.log = str(self.source.log(answer.log, self._worker.store, self._place()))
        return error
