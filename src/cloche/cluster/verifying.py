"""Building a share of the packages twice, on different workers, and comparing the layers.

A worker is trusted to build, and this finds one that builds something else: by a fault of its
hardware, another kernel, or an ebuild whose result depends on the host.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import msgspec

from cloche.cluster.cluster import Cluster
from cloche.cluster.connection import Settings
from cloche.cluster.errors import ClusterError
from cloche.errors import Exit
from cloche.layers import PORTAGE_RULES
from cloche.layers.compare import compare_layers
from cloche.records.events import Bus, Event, Note
from cloche.store import Outcome, Store
from cloche.tasks.errors import StepError
from cloche.tasks.task import BuildTask, MergeTask, Task
from cloche.tasks.worker import Worker

_SHOWN = 5  # differences in one error


class DifferentError(ClusterError):
    """Two workers made different layers of one package."""

    status = Exit.FAILED


@dataclass(frozen=True, slots=True)
class _Twin:
    """The second GPKG of a package, and who built both."""

    gpkg: str
    workers: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Verifying:
    """Runs tasks on a cluster; a ``share`` of the builds, from 0 to 1, runs twice.

    GPKGs hold times, so it is the layers of both that are compared, when the package is merged.
    """

    cluster: Cluster
    share: float
    _twins: dict[str, _Twin] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self, store: Store, hear: Callable[[Event], None]) -> int:
        """As `Cluster.connect`. Raises ClusterError as well if a share needs another worker."""
        cores = self.cluster.connect(store, hear)
        if self.share and len(self.cluster.workers()) < 2:
            raise ClusterError("verifying a share needs two workers", todo="start another one")
        return cores

    def __call__(self, task: Task, worker: Worker) -> Outcome:
        """Run a task, as `Cluster`. Raises DifferentError as well."""
        if isinstance(task, BuildTask):
            chosen = random.random() < self.share  # noqa: S311 - no secret
            return self._built(task, worker) if chosen else self.cluster(task, worker)
        with self._lock:
            twin = self._twins.get(task.gpkg)
        return self.cluster(task, worker) if twin is None else self._merged(task, worker, twin)

    def _built(self, task: BuildTask, worker: Worker) -> Outcome:
        names = sorted(self.cluster.workers())
        with ThreadPoolExecutor(1, thread_name_prefix="verify") as second:
            # Without a compile cache and other hosts, of which the other one's objects may come.
            alone = msgspec.structs.replace(task, ccache=None, distcc=None)
            quiet = replace(worker, bus=_only_notes(worker.bus))
            twin = second.submit(self.cluster.run, alone, quiet, names[1::2])
            outcome, one = self.cluster.run(task, worker, names[0::2])
            try:
                again, other = twin.result()
            except StepError as error:
                what = f"{one} built it, and on another worker the {error.what}"
                raise DifferentError(what, where=task.package, detail=error.detail) from error
        if one == other:
            text = f"{task.cpv}: not verified: only the worker {one} is there"
            worker.bus(Note(text=text, level="warning"))
            return outcome
        with self._lock:
            self._twins[outcome.outputs["gpkg"]] = _Twin(again.outputs["gpkg"], (one, other))
        return outcome

    def _merged(self, task: MergeTask, worker: Worker, twin: _Twin) -> Outcome:
        outcome = self.cluster(task, worker)
        again = msgspec.structs.replace(task, gpkg=twin.gpkg)
        other = self.cluster(again, replace(worker, bus=_only_notes(worker.bus)))
        layer, second = outcome.outputs["layer"], other.outputs["layer"]
        one, two = twin.workers
        if layer == second:
            worker.bus(Note(text=f"{task.cpv}: {one} and {two} built the same layer"))
            return outcome
        raise DifferentError(
            f"{one} and {two} built different layers, {layer[:16]} and {second[:16]}: "
            f"{_differences(worker.store, layer, second)}",
            where=task.package,
            todo=f"`cloche build --rebuild ={task.cpv}` on one host shows whether it is the ebuild",
        )


def _only_notes(bus: Bus) -> Bus:
    """A bus for what is not to be shown as the package's own progress."""
    return Bus(lambda event: bus(event) if isinstance(event, Note) else None)


def _differences(store: Store, one: str, two: str) -> str:
    """How two layers differ, in one line."""
    paths = (store.tree(id).path for id in (one, two))
    found = compare_layers(*paths, rules=PORTAGE_RULES)
    return found.text(_SHOWN).replace("\n", "; ")


@contextmanager
def open_cluster(settings: Settings, share: float = 0.0) -> Iterator[Verifying]:
    """A cluster, as ``elsewhere`` of `cloche.session.open_session`, for a block.

    It connects when it is first used, or by `Verifying.connect` after the session was opened.
    """
    cluster = Cluster(settings)
    try:
        yield Verifying(cluster, share)
    finally:
        cluster.close()
