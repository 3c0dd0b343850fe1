"""What a recorded build did when: packages on workers, phases, the chain that set its length.

Pure functions over events. Times are seconds since the first event.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cloche.plan.order import Order, bits, make_order
from cloche.records import events as ev
from cloche.records.elog import Message


@dataclass(frozen=True, slots=True)
class Span:
    """Something with a beginning and an end: a step or a phase."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Work:
    """All that happened to one package. ``start`` is when its build or merge began."""

    package: str
    how: ev.How | None  # None: it was not done when the record ended
    start: float
    end: float
    steps: tuple[Span, ...] = ()
    phases: tuple[Span, ...] = ()
    logs: Mapping[str, str] = field(default_factory=dict)  # by step
    done: ev.Done | None = None
    said: tuple[Message, ...] = ()  # what its ebuild said to its user

    @property
    def worked(self) -> bool:
        """Whether a worker had anything to do with it."""
        return any(step.name != "fetch" for step in self.steps)


@dataclass(frozen=True, slots=True)
class Timeline:
    """A whole build. ``works`` are in the order of the plan; ``stages`` what was not a package."""

    machine: str
    began: float  # seconds since the epoch
    seconds: float
    works: tuple[Work, ...]
    stages: tuple[Span, ...]
    order: Order
    finished: ev.Finished | None


@dataclass(slots=True)
class _Open:
    """A package while its events are read."""

    steps: list[Span] = field(default_factory=list)
    phases: list[Span] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    step: tuple[str, float] | None = None
    phase: tuple[str, float] | None = None
    done: ev.Done | None = None
    said: list[Message] = field(default_factory=list)

    def started(self, event: ev.Started, now: float) -> None:
        self.close(now)
        self.step = (event.step, now)
        if event.log:
            self.logs[event.step] = event.log

    def phased(self, event: ev.Phase, now: float) -> None:
        self.end_phase(now)
        if event.state == "start":
            self.phase = (event.phase, now)
        elif self.step is not None and self.step[0] == event.phase == "fetch":
            self.close(now)  # ahead of the package's turn: nothing else may come for long

    def end_phase(self, now: float) -> None:
        if self.phase is not None:
            self.phases.append(Span(*self.phase, now))
            self.phase = None

    def close(self, now: float) -> None:
        self.end_phase(now)
        if self.step is not None:
            self.steps.append(Span(*self.step, now))
            self.step = None

    def work(self, package: str, now: float) -> Work:
        self.close(now)
        worked = [step for step in self.steps if step.name != "fetch"] or self.steps
        return Work(
            package=package,
            how=self.done.how if self.done else None,
            start=worked[0].start if worked else now,
            end=worked[-1].end if worked else now,
            steps=tuple(self.steps),
            phases=tuple(self.phases),
            logs=self.logs,
            done=self.done,
            said=tuple(self.said),
        )


def timeline(events: Iterable[ev.Event]) -> Timeline:
    """Read a recorded stream."""
    events = list(events)
    began = events[0].time if events else 0.0
    opened: dict[str, _Open] = {}
    plan = ev.Planned(machine="", packages=(), time=began)
    finished = None
    for event in events:
        now = event.time - began
        match event:
            case ev.Planned():
                plan = event
            case ev.Started():
                opened.setdefault(event.package, _Open()).started(event, now)
            case ev.Phase():
                opened.setdefault(event.package, _Open()).phased(event, now)
            case ev.Done():
                package = opened.setdefault(event.package, _Open())
                package.close(now)
                package.done = event
            case ev.Elog():
                opened.setdefault(event.package, _Open()).said += event.messages
            case ev.Finished():
                finished = event
    end = events[-1].time - began if events else 0.0
    names = dict.fromkeys((*plan.packages, *opened))
    return Timeline(
        machine=plan.machine,
        began=began,
        seconds=end,
        works=tuple(opened.get(name, _Open()).work(name, end) for name in names),
        stages=_stages(events, began, end),
        order=make_order(tuple(names), plan.edges),
        finished=finished,
    )


def _stages(events: Sequence[ev.Event], began: float, end: float) -> tuple[Span, ...]:
    spans: list[Span] = []
    opened: dict[str, float] = {}
    for event in events:
        if not isinstance(event, ev.Stage):
            continue
        if event.state == "start":
            opened[event.title] = event.time - began
        elif event.title in opened:
            spans.append(Span(event.title, opened.pop(event.title), event.time - began))
    return (*spans, *(Span(name, start, end) for name, start in opened.items()))


def lanes(works: Sequence[Work]) -> dict[str, int]:
    """A worker's number for each package that was worked on: the first that was free by then."""
    free: list[float] = []
    result: dict[str, int] = {}
    for work in sorted((w for w in works if w.worked), key=lambda w: (w.start, w.end)):
        lane = next((n for n, end in enumerate(free) if end <= work.start + 1e-6), len(free))
        if lane == len(free):
            free.append(0.0)
        free[lane] = work.end
        result[work.package] = lane
    return result


def critical_chain(line: Timeline) -> tuple[str, ...]:
    """The packages that made the build as long as it was, the first one first.

    From what ended last back to the last of what it needed, as long as that was worked on.
    """
    order = line.order
    works = {work.package: work for work in line.works if work.worked}
    needs = {
        name: [
            other
            for other in map(order.names.__getitem__, bits(order.below[order.index[name]]))
            if other in works and works[other].start < works[name].start
        ]
        for name in works
        if name in order.index
    }
    chain: list[str] = []
    here = max(works, key=lambda name: works[name].end, default=None)
    while here is not None:
        chain.append(here)
        here = max(needs.get(here, ()), key=lambda name: works[name].end, default=None)
    return tuple(reversed(chain))


def slowest_phases(works: Iterable[Work], count: int = 25) -> tuple[tuple[str, Span], ...]:
    """The phases that took longest, with their packages."""
    every = ((work.package, phase) for work in works for phase in work.phases)
    return tuple(sorted(every, key=lambda p: p[1].start - p[1].end)[:count])
