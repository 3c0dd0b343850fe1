"""Runs a task, with any store that has the ids that it names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from cloche.records.events import Bus
from cloche.store import Outcome
from cloche.tasks.build import build
from cloche.tasks.merge import merge
from cloche.tasks.task import BuildTask, Task
from cloche.tasks.worker import Worker


def run(task: Task, worker: Worker) -> Outcome:
    """Run a task; its outputs are in the worker's store.

    The outcome's "gpkg" is the blob of a build, its "layer" the tree of a merge. Raises StepError;
    then the root of the failure is kept, if the task says so.
    """
    if task.quiet:
        worker = replace(worker, bus=Bus())
    if not isinstance(task, BuildTask):
        return _timed(lambda: merge(task, worker))
    with ExitStack() as stack:  # waiting does not count
        stack.enter_context(_slot(worker))
        if task.distcc is not None and worker.wide is not None:
            worker = replace(worker, jobserver=worker.wide)
            stack.enter_context(_slot(worker))
        return _timed(lambda: build(task, worker))


def _timed(step: Callable[[], Outcome]) -> Outcome:
    began = time.monotonic()
    outcome = step()
    return replace(outcome, seconds=time.monotonic() - began)


@contextmanager
def _slot(worker: Worker) -> Iterator[None]:
    """A slot of the jobserver, if there is one, for the block of a build."""
    if worker.jobserver is None:
        yield
        return
    worker.jobserver.started()
    try:
        yield
    finally:
        worker.jobserver.ended()
