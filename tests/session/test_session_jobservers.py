"""Job slots for other hosts' cores are for the builds alone that may use those."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloche.building.context import Policy
from cloche.session.building import jobserver_of, sharing
from cloche.store import Outcome
from cloche.tasks import run as running
from cloche.tasks.task import BuildTask, Distribution
from cloche.tasks.worker import Worker

TASK = BuildTask(
    package="c/a-1::r", cpv="c/a-1", pf="a-1", repo="r", base=(), layers=(), repositories={},
    environment={}, use=(), masters={}, inherited=(), distfiles=(),
)  # fmt: skip
SENDS = msgspec.structs.replace(TASK, distcc=Distribution(("build1/64",), ("4" * 64,), 64))


@dataclass(frozen=True)
class Context:
    """What of a build's context counts here."""

    policy: Policy
    room: Path
    worker: Worker = field(default_factory=lambda: Worker(None, None))  # type: ignore[arg-type]
    running: Any = None

    @property
    def store(self) -> Context:
        return self

    @contextmanager
    def workspace(self, name: str):
        (self.room / name).mkdir()
        yield self.room / name


def tokens(fifo: Path) -> int:
    """How many there are in a FIFO."""
    fd = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    try:
        found = os.read(fd, 4096)
        os.write(fd, found)
        return len(found)
    finally:
        os.close(fd)


def seen(context: Any, task: BuildTask, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Tokens that a task finds, with the one that is its own; and those of other builds."""
    found = []

    def build(task: BuildTask, worker: Worker) -> Outcome:
        assert worker.jobserver is not None
        found.append((tokens(worker.jobserver.fifo) + 1, tokens(context.worker.jobserver.fifo)))
        return Outcome({})

    monkeypatch.setattr(running, "build", build)
    running.run(task, context.worker)
    ((own, others),) = found
    return own, others


def test_only_builds_that_may_send_have_slots_for_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: Any = Context(Policy(cores=4, distcc=("build1/64",)), tmp_path)
    with jobserver_of(context, None) as servers:
        shared = sharing(context, servers)
        assert seen(shared, TASK, monkeypatch) == (4, 3)
        assert seen(shared, SENDS, monkeypatch) == (68, 3)  # it takes one of the others', too
        assert seen(shared, TASK, monkeypatch) == (4, 3)


def test_without_hosts_there_are_as_many_as_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: Any = Context(Policy(cores=4), tmp_path)
    with jobserver_of(context, None) as servers:
        assert seen(sharing(context, servers), SENDS, monkeypatch) == (4, 3)
