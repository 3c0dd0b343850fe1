"""Sending one task to a worker, and waiting for its answer."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

import msgspec

from cloche.cluster import carrying
from cloche.cluster.calls import SILENCE, Call
from cloche.cluster.connection import Connection, Settings
from cloche.cluster.errands import Answer, Errand, encode
from cloche.cluster.errors import ClusterError, TransferError
from cloche.cluster.facts import demands_of
from cloche.errors import ClocheError, Exit
from cloche.tasks.errors import StepError
from cloche.tasks.task import BuildTask, Task

if TYPE_CHECKING:
    from distributed import Future

_LOOK = 0.5  # seconds between two looks at a call
_STOPPING = 2.0  # seconds for a worker to hear that it is to stop


class LostError(Exception):
    """A task has to be sent again. ``worker`` is the name of one that is not to get it."""

    def __init__(self, why: str, worker: str | None = None) -> None:
        super().__init__(why)
        self.worker = worker


@dataclass(slots=True)
class Sending:
    """One task. ``among`` are the names of workers that it is for, if one of them is there.

    ``excluded`` are names of workers that failed it, the last of them with ``failure``; ``avoided``
    those of workers that failed others just now.
    """

    settings: Settings
    connection: Connection
    task: Task
    call: Call
    check: str
    peers: Mapping[str, tuple[str, ...]]
    among: Sequence[str] = ()
    avoided: Sequence[str] = ()
    excluded: list[str] = field(default_factory=list)
    failure: ClocheError | None = None

    def attempt(self) -> Answer:
        """Send it and wait. Raises LostError, StepError and ClusterError."""
        addresses = self._addresses()
        future = self._submitted(addresses)
        try:
            return self._awaited(future)
        finally:
            with contextlib.suppress(Exception):  # the client may be closed
                future.release()

    def _addresses(self) -> list[str]:
        """The addresses of workers that may do it; waits for the first one."""
        began = time.monotonic()
        members = self.connection.members
        memory = (self.task.limits.memory or 0) >> 20
        # Nobody is left only if nobody came since: what was seen before does not tell.
        since = began if memory or self.failure is not None else -math.inf
        while True:
            self.connection.client(lambda: self.call.stopped, since=since)
            addresses = members.others([*self.excluded, *self.avoided], memory)
            addresses = addresses or members.others(self.excluded, memory)
            wanted = [each for each in addresses if members.fit[each].name in self.among]
            if addresses:
                return wanted or addresses
            if self.failure is not None:
                raise self.failure
            if memory and members.others(()):
                raise ClusterError(
                    f"no worker has the {memory} MiB of [limits] memory", where=self.task.package
                )
            if time.monotonic() - began > self.settings.patience:
                raise self.connection.nobody()
            self.call.wait(_LOOK)
            if self.call.stopped:
                raise stopped(self.task)

    def _submitted(self, addresses: Sequence[str]) -> Future[bytes]:
        errand = Errand(
            task=self.task,
            token=self.call.token,
            attempt=uuid4().hex,
            plan=self.connection.own,
            engine=self.settings.engine,
            check=self.check,
            peers=dict(self.peers),
        )
        needed = demands_of(
            errand.plan,
            build=isinstance(self.task, BuildTask),
            memory=self.task.limits.memory,
            engine=self.settings.engine,
        )
        self.call.sent(errand.attempt)
        client = self.connection.client(lambda: self.call.stopped)
        try:
            future: Future[bytes] = client.submit(
                carrying.carry_out,
                encode(errand),
                key=f"{step_of(self.task)}-{errand.attempt}",
                resources=needed,
                workers=list(addresses) if self.excluded or self.avoided or self.among else None,
                pure=False,
            )
            future.add_done_callback(self.call.poke)
        except Exception as error:  # the client was closed in between
            raise LostError(f"the scheduler was lost ({error})") from error
        return future

    def _awaited(self, future: Future[bytes]) -> Answer:
        """Wait for the answer, which comes by a report, or else through Dask."""
        alone_since: float | None = None
        while True:
            self.call.wait(_LOOK)
            if self.call.stopped:
                cancel(future)
                self._stop_worker()
                raise stopped(self.task)
            if self.call.answer is not None:
                return self.call.answer
            if (answer := self._ended(future)) is not None:
                return answer
            silence = self.call.silence
            if silence is not None and silence > SILENCE:
                cancel(future)
                worker = self.call.worker
                raise LostError(f"nothing is heard of the worker {worker}", worker)
            if silence is not None or self._somebody_fits():
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > self.settings.patience:
                cancel(future)
                raise self.connection.nobody()

    def _ended(self, future: Future[bytes]) -> Answer | None:
        """The answer according to Dask. Raises StepError and LostError."""
        if not future.done():
            return None
        if future.status == "finished":
            return msgspec.json.decode(future.result(), type=Answer)
        if future.status == "error":
            error = future.exception()
            why = " ".join(str(error).split("\n")[0].split()) or type(error).__name__
            text = f"on the cluster: {why[:300]}"
            raise StepError(self.task.package, step_of(self.task), text, status=Exit.HOST)
        # Cancelled: the scheduler is gone. A task that runs goes on without it.
        silence = self.call.silence
        if silence is None or silence > SILENCE / 4:
            raise LostError("the scheduler was lost")
        return None

    def _stop_worker(self) -> None:
        """Tell the worker to stop; else its next report would, if somebody is left to hear it."""
        for facts in self.connection.members.fit.values():
            if facts.name == self.call.worker:
                with contextlib.suppress(TransferError):
                    self.connection.peer.call(
                        facts.peer, "cloche_stop", _STOPPING, attempt=self.call.attempt
                    )

    def _somebody_fits(self) -> bool:
        self.connection.client(lambda: self.call.stopped)
        return bool(self.connection.members.fit)


def cancel(future: Future[bytes]) -> None:
    """Have Dask forget a task; a worker that does it hears of it from us."""
    with contextlib.suppress(Exception):
        future.cancel()


def step_of(task: Task) -> str:
    """The name of a task's step."""
    return "build" if isinstance(task, BuildTask) else "merge"


def stopped(task: Task) -> StepError:
    """The error for a task that the user stopped."""
    return StepError(task.package, step_of(task), "stopped")
