"""The result of a run: which specs were built, what failed and why, and how much was shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from cloche.plan.names import bare
from cloche.records.events import Done, Stage
from cloche.releng.journal import (
    Compared,
    Entry,
    HookEnded,
    RunEnded,
    RunStarted,
    SpecEnded,
    SpecStarted,
)

How = Literal["waiting", "building", "built", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class FailedPackage:
    """A package that failed: the reason, the lines of its log that show it, the log, and the
    command that opens its root.
    """

    package: str
    reason: str
    lines: tuple[str, ...] = ()
    log: str | None = None
    enter: str | None = None


@dataclass(frozen=True, slots=True)
class SpecReport:
    """One spec. ``seconds`` is the time from its start to its end, ``busy`` the sum over builds and
    merges of its packages, which may overlap, ``stages`` the sum over its other steps.
    """

    name: str
    set: str = ""
    optional: bool = False
    how: How = "waiting"
    seconds: float = 0.0
    busy: float = 0.0
    stages: float = 0.0
    built: int = 0
    reused: int = 0
    reason: str | None = None
    detail: tuple[str, ...] = ()
    failed: tuple[FailedPackage, ...] = ()
    outputs: Mapping[str, int] = field(default_factory=dict)
    compared: Compared | None = None

    @property
    def is_fatal(self) -> bool:
        """Whether it makes the run fail."""
        return self.how in ("failed", "skipped") and not self.optional


@dataclass(frozen=True, slots=True)
class Shared:
    """How often packages were built. ``spent`` is the time in seconds of all builds and merges,
    ``distinct`` that of one for each result: equal layers count once. ``wanted`` counts the
    packages of all machines, ``layers`` the distinct ones.
    """

    wanted: int = 0
    built: int = 0
    layers: int = 0
    spent: float = 0.0
    distinct: float = 0.0

    @property
    def ratio(self) -> float:
        """The time spent, divided by that of the distinct packages; 1 if nothing was built."""
        return self.spent / self.distinct if self.distinct else 1.0


@dataclass(frozen=True, slots=True)
class Report:
    """A run. ``hooks`` are those that failed, ``status`` is the command's, None while it runs.

    ``began`` is in seconds since the epoch; ``seconds`` leaves out the time between an interruption
    and the next start.
    """

    name: str = ""
    timestamp: str = ""
    treeish: str = ""
    began: float = 0.0
    seconds: float = 0.0
    specs: tuple[SpecReport, ...] = ()
    shared: Shared = Shared()
    hooks: tuple[HookEnded, ...] = ()
    status: int | None = None

    @property
    def fatal(self) -> tuple[SpecReport, ...]:
        """The specs that make the run fail."""
        return tuple(each for each in self.specs if each.is_fatal)

    @property
    def stages(self) -> float:
        """Seconds of all steps but packages: resolving, finishing, packing. Some overlap."""
        return sum(each.stages for each in self.specs)

    @property
    def sentence(self) -> str:
        """The result in one line."""
        counts = {how: sum(each.how == how for each in self.specs) for how in _ORDER}
        parts = [f"{number} {how}" for how, number in counts.items() if number]
        only = "; only optional specs failed" if self._only_optional() else ""
        hooks = f"; hooks that failed: {len(self.hooks)}" if self.hooks else ""
        specs = "1 spec" if len(self.specs) == 1 else f"{len(self.specs)} specs"
        return f"{specs}: {', '.join(parts) or 'none'}{only}{hooks}"

    def _only_optional(self) -> bool:
        return not self.fatal and any(each.how in ("failed", "skipped") for each in self.specs)


_ORDER = ("built", "failed", "skipped", "building", "waiting")


def report_of(entries: Iterable[Entry]) -> Report:
    """The report of a journal. A run that was continued is one run."""
    reading = _Reading()
    for entry in entries:
        reading.take(entry)
    return reading.report()


class _Reading:
    """The state after some entries of a journal."""

    def __init__(self) -> None:
        self.run = Report()
        self.specs: dict[str, SpecReport] = {}
        self.hooks: dict[tuple[str, ...], HookEnded] = {}
        self.layers: set[tuple[str, str | None]] = set()
        self.times: dict[tuple[str, str | None, str], list[float]] = {}  # of each step
        self.built = 0
        self.spans: list[list[float]] = []

    def take(self, entry: Entry) -> None:
        event = entry.event
        if self.spans:
            self.spans[-1][1] = event.time
        match event:
            case RunStarted():
                self._start(event)
            case SpecStarted():
                self._change(entry.spec, how="building", reason=None, detail=(), failed=())
                self._change(entry.spec, seconds=0.0, busy=0.0, stages=0.0, built=0, reused=0)
                self._change(entry.spec, outputs={}, compared=None)
            case SpecEnded():
                self._end(entry.spec, event)
            case Compared():
                self._change(entry.spec, compared=event)
            case HookEnded():
                self.hooks[(entry.spec, *event.words)] = event
            case RunEnded():
                self.run = replace(self.run, status=event.status)
            case Stage(state="end"):
                self._add(entry.spec, stages=event.seconds)
            case Done():
                self._done(entry.spec, event)
            case _:
                pass

    def _start(self, event: RunStarted) -> None:
        began = self.run.began or event.time
        self.run = Report(event.name, event.timestamp, event.treeish, began)
        self.spans.append([event.time, event.time])
        for name in event.specs:
            known = self.specs.get(name, SpecReport(name))
            how: How = "waiting" if known.how == "building" else known.how
            optional = name in event.optional
            self.specs[name] = replace(
                known, set=event.sets.get(name, ""), optional=optional, how=how
            )

    def _end(self, spec: str, event: SpecEnded) -> None:
        self._change(spec, how=event.how, seconds=event.seconds, reason=event.reason)
        self._change(spec, detail=event.detail, outputs=event.outputs)

    def _done(self, spec: str, event: Done) -> None:
        if event.how in ("built", "reused"):
            self.built += event.how == "built"
            result = bare(event.package), event.layer
            self.layers.add(result)
            for step, took in event.worked.items():
                self.times.setdefault((*result, step), []).append(took)
        if event.how == "built":
            self._add(spec, busy=sum(event.worked.values()), built=1)
        elif event.how == "reused":
            self._add(spec, busy=sum(event.worked.values()), reused=1)
        elif event.how == "failed":
            failed = FailedPackage(
                event.package, event.reason or "failed", event.lines, event.log, event.enter
            )
            known = self.specs.get(spec, SpecReport(spec))
            self.specs[spec] = replace(known, failed=(*known.failed, failed))

    def _change(self, spec: str, **values: object) -> None:
        known = self.specs.get(spec, SpecReport(spec))
        self.specs[spec] = replace(known, **values)  # type: ignore[arg-type]

    def _add(self, spec: str, **more: float) -> None:
        known = self.specs.get(spec, SpecReport(spec))
        sums = {name: getattr(known, name) + value for name, value in more.items()}
        self.specs[spec] = replace(known, **sums)

    def report(self) -> Report:
        shared = Shared(
            sum(each.built + each.reused for each in self.specs.values()),
            self.built,
            len(self.layers),
            sum(map(sum, self.times.values())),
            sum(sum(each) / len(each) for each in self.times.values()),
        )
        return replace(
            self.run,
            seconds=sum(end - begin for begin, end in self.spans),
            specs=tuple(self.specs.values()),
            shared=shared,
            hooks=tuple(each for each in self.hooks.values() if each.status and _counts(each)),
        )


def _counts(hook: HookEnded) -> bool:
    """Whether the failure of a hook counts: catalyst-auto ignores that of update_symlinks."""
    return hook.words[0] != "update_symlinks"


def as_json(report: Report) -> str:
    """The report for programs: all fields, and the sentence and the ratio."""
    data = msgspec.to_builtins(report)
    data["sentence"] = report.sentence
    data["shared"]["ratio"] = round(report.shared.ratio, 4)
    return msgspec.json.format(msgspec.json.encode(data), indent=2).decode() + "\n"
