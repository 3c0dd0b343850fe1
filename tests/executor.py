"""An executor of tasks without sandboxes, and builders of packages whose tasks it carries out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests import values

from cloche.building.context import Policy
from cloche.building.packages import Builder
from cloche.plan.depgraph import Package, encode_depgraph
from cloche.records.events import Bus, Done, Event, Note
from cloche.records.logs import new_log
from cloche.store import Outcome, Store
from cloche.tasks.errors import StepError
from cloche.tasks.task import BuildTask, Task


@dataclass
class Maker:
    """Puts blobs for builds and layers for merges into a store, and keeps the tasks.

    ``content`` is what a build gives of a package, by its id, and ``noise`` what it gives besides
    that no layer holds. ``hooks`` is the file to which a package's hooks add its name, ``faults``
    what is raised for it: a text is the reason of a step that fails with a log.
    """

    store: Store
    content: dict[str, str] = field(default_factory=dict)
    noise: str = ""
    hooks: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Exception | str] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    def __call__(self, task: Task, bus: Bus) -> Outcome:
        """Carry out a task, as `cloche.tasks.run.run`."""
        self.tasks.append(task)
        kind = "build" if isinstance(task, BuildTask) else "merge"
        log = new_log(self.store, task.cpv, kind)
        log.write_text(f"{kind} of {task.package}")
        fault = self.faults.get(task.package)
        if isinstance(fault, str):
            raise StepError(task.package, kind, fault, log=str(log))
        if fault is not None:
            raise fault
        name = str(log.relative_to(self.store.logs))
        if isinstance(task, BuildTask):
            content = f"{task.package} {self.content.get(task.package, '')}\n{self.noise}"
            return Outcome({"gpkg": values.blob(self.store, content)}, name)
        own = f"usr/share/{task.pf}"
        files = {
            own: self.store.blob(task.gpkg).path.read_text().partition("\n")[0],
            f"var/db/pkg/{task.cpv}/CONTENTS": f"dir /usr\ndir /usr/share\nobj /{own} 0 1\n",
        }
        if written := self.hooks.get(task.package):
            files[written] = self._written(task.layers, written) + f"{task.pf} "
        return Outcome({"layer": values.stored(self.store, task.cpv, **files).id}, name)

    def _written(self, layers: Iterable[str], name: str) -> str:
        """What the uppermost of some layers has in a file."""
        found = [self.store.tree(id).path / name for id in layers]
        return next((path.read_text() for path in reversed(found) if path.exists()), "")

    @property
    def names(self) -> list[str]:
        """The tasks that were carried out: ``build a-1``, ``merge a-1``."""
        return [f"{'build' if isinstance(t, BuildTask) else 'merge'} {t.pf}" for t in self.tasks]


@dataclass
class Site:
    """A store, an executor, and builders of plans; keeps what is heard of their work."""

    store: Store
    maker: Maker
    policy: Policy = field(default_factory=lambda: Policy(offline=True))
    events: list[Event] = field(default_factory=list)

    def builder(self, *packages: Package, changed: str = "", **more: object) -> Builder:
        """A builder; the ebuild of ``changed`` has another digest than before."""
        context = values.context(self.store, self.maker, self.policy)
        context.bus.add(self.events.append)
        inputs = {p.id: {"ebuild": f"2 {changed}" if p.pn == changed else "1"} for p in packages}
        plan = values.plan_of(*packages)
        graph = values.blob(self.store, encode_depgraph(plan.graph).decode(), "depgraph")
        return Builder(context, plan, graph, inputs, **more)  # type: ignore[arg-type]

    def build(self, *packages: Package, **more: object) -> Builder:
        """Build packages one after the other; only the tasks and events of this are kept."""
        self.maker.tasks.clear()
        self.events.clear()
        builder = self.builder(*packages, **more)  # type: ignore[arg-type]
        for each in packages:
            run(builder, each)
        return builder

    @property
    def done(self) -> list[tuple[str, str]]:
        """How packages ended, in the order of the events."""
        ended = [event for event in self.events if isinstance(event, Done)]
        return [(event.package, event.how) for event in ended]

    @property
    def notes(self) -> list[str]:
        """What people were told."""
        return [event.text for event in self.events if isinstance(event, Note)]


def run(builder: Builder, package: Package) -> str:
    """Do one package as the ready queue does."""
    needed = builder.plan.visible[package.id].needed
    done = {name: builder.results[name][0].layer for name in needed}
    return builder(package.id, done, lambda: None)
