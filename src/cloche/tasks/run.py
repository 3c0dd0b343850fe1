"""Runs a task, with any store that has the ids that it names."""

from __future__ import annotations

import time
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
    began = time.monotonic()
    if task.quiet:
        worker = replace(worker, bus=Bus())
    outcome = _build(task, worker) if isinstance(task, BuildTask) else merge(task, worker)
    return replace(outcome, seconds=time.monotonic() - began)


def _build(task: BuildTask, worker: Worker) -> Outcome:
    """Run a build, which has its own slot of the jobserver."""
    if worker.jobserver is None:
        return build(task, worker)
    worker.jobserver.started()
    try:
        return build(task, worker)
    finally:
        worker.jobserver.ended()
