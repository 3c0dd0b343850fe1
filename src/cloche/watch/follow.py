"""Turns looks at an emerge into the events of a build. No effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from cloche.records.events import Done, Event, Finished, Logging, Phase, Planned, Started

Step = Literal["build", "merge"]
PATIENCE = 3  # looks in which a package may be absent, between two of its tasks


@dataclass(frozen=True, slots=True)
class Doing:
    """A package in progress. ``since`` is in seconds since the epoch."""

    step: Step
    phase: str | None = None
    log: str | None = None
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The state at one moment, by cpv.

    ``completed`` has seconds; None means that completions are unknown. ``failed`` is emerge's own
    count, if it gives one.
    """

    time: float
    doing: Mapping[str, Doing]
    completed: Mapping[str, float] | None
    failed: int | None = None
    gone: bool = False


@dataclass(slots=True)
class Follower:
    """Remembers what was reported; ``names`` gives the ids of the plan by cpv."""

    began: float
    plan: Planned
    names: dict[str, str] = field(default_factory=dict)
    running: dict[str, Doing] = field(default_factory=dict)
    since: dict[str, float] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names.update((name.split("::")[0], name) for name in self.plan.packages)

    def look(self, look: Look) -> Iterator[Event]:
        """The events for the differences from the last look."""
        for cpv, seconds in (look.completed or {}).items():
            if cpv not in self.ended:
                yield from self._end(cpv, "built", look.time, seconds)
        for cpv, doing in look.doing.items():
            if cpv not in self.ended:
                self.unseen.pop(cpv, None)
                yield from self._does(cpv, doing, look.time)
        yield from self._vanished(look)
        if look.gone:
            yield from self._last(look)

    def _does(self, cpv: str, doing: Doing, now: float) -> Iterator[Event]:
        before = self.running.get(cpv)
        name = self._name(cpv)
        known = before.log if before is not None else None
        log = doing.log or known
        last = before.phase if before is not None else None
        if before is None or before.step != doing.step:
            if last:
                yield Phase(package=name, phase=last, state="end", time=now)
            self.since.setdefault(cpv, doing.since or now)
            yield Started(package=name, step=doing.step, log=log, time=now)
            last = None
        elif log and log != known:
            yield Logging(package=name, log=log, time=now)
        phase = doing.phase or last
        if phase and phase != last:
            if last:
                yield Phase(package=name, phase=last, state="end", time=now)
            yield Phase(package=name, phase=phase, state="start", time=now)
        self.running[cpv] = Doing(doing.step, phase, log, doing.since)

    def _vanished(self, look: Look) -> Iterator[Event]:
        """A package that is gone has failed if emerge counts more failures, or is unknown."""
        failures = sum(how == "failed" for how in self.ended.values())
        for cpv in [cpv for cpv in self.running if cpv not in look.doing]:
            self.unseen[cpv] = self.unseen.get(cpv, 0) + 1
            if self.unseen[cpv] < PATIENCE:
                continue
            if look.failed is not None and look.failed > failures:
                failures += 1
                yield from self._end(cpv, "failed", look.time)
            elif look.completed is None and look.failed is not None:
                yield from self._end(cpv, "built", look.time)

    def _last(self, look: Look) -> Iterator[Event]:
        """emerge is gone: running packages have failed, unless completions are unknown."""
        for cpv in list(self.running):
            merged = look.completed is None and self.running[cpv].step == "merge"
            yield from self._end(cpv, "built" if merged else "failed", look.time)
        for name in self.plan.packages:
            cpv = name.split("::")[0]
            if cpv not in self.ended:
                self.ended[cpv] = "skipped"
                yield Done(package=name, how="skipped", time=look.time)
        hows = list(self.ended.values())
        yield Finished(
            built=hows.count("built"),
            reused=0,
            failed=hows.count("failed"),
            skipped=hows.count("skipped"),
            seconds=look.time - self.began,
            time=look.time,
        )

    def _end(
        self,
        cpv: str,
        how: Literal["built", "failed"],
        now: float,
        seconds: float | None = None,
    ) -> Iterator[Event]:
        doing = self.running.pop(cpv, None)
        self.unseen.pop(cpv, None)
        self.ended[cpv] = how
        name = self._name(cpv)
        if doing is not None and doing.phase:
            yield Phase(package=name, phase=doing.phase, state="end", time=now)
        if seconds is None:
            seconds = now - self.since.get(cpv, now)
        failed = how == "failed"
        yield Done(
            package=name,
            how=how,
            seconds=seconds,
            reason=f"see {doing.log}" if failed and doing and doing.log else None,
            log=doing.log if failed and doing else None,
            time=now,
        )

    def _name(self, cpv: str) -> str:
        return self.names.get(cpv, cpv)
