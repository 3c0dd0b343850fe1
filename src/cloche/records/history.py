"""The history of builds, from the actions in the store's index.

A failed step is an action without outputs, of the kind "build-failed" or "merge-failed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cloche.plan.why import changes
from cloche.records.events import INTERRUPTED, Delivered, Done, Event, Finished, Planned
from cloche.store import Action, Store

Result = Literal["first", "same", "different", "failed", "lost"]


@dataclass(frozen=True, slots=True)
class Run:
    """One build of a package.

    ``time`` is when it ended, in seconds since the epoch; ``seconds`` what its steps took, None if
    unknown. ``result`` compares its layer with that of the run before; "lost" means that the index
    has no merge of it. ``changed`` names the parts of its key that differ from the run before.
    ``failed`` is the failed step, if any; a merge that failed without a build before it is a
    separate run. ``key`` is that of the build, if there was one.
    """

    package: str
    time: float
    result: Result
    use: tuple[str, ...] = ()
    build: float | None = None
    merge: float | None = None
    layer: str | None = None
    changed: tuple[str, ...] = ()
    log: str | None = None
    failed: Literal["build", "merge"] | None = None
    key: str | None = None

    @property
    def seconds(self) -> float:
        """The time of all its steps."""
        return (self.build or 0.0) + (self.merge or 0.0)


@dataclass(frozen=True, slots=True)
class MachineRun:
    """One build of a machine. ``time`` is when it began, ``seconds`` how long it took.

    The counts are of packages. ``result`` is "unfinished" if it was interrupted, and "failed" also
    if all packages were built and a later stage failed. ``partial``: only some packages were asked
    for, so that the machine is not what came of it.
    """

    number: int
    time: float
    seconds: float
    built: int
    reused: int
    failed: int
    skipped: int
    result: Literal["done", "failed", "unfinished"]
    partial: bool = False


def machine_run(number: int, events: Sequence[Event]) -> MachineRun:
    """Summarise the events of a build."""
    began, ended = (events[0].time, events[-1].time) if events else (0.0, 0.0)
    hows = [event.how for event in events if isinstance(event, Done)]
    delivered = any(isinstance(event, Delivered) for event in events)
    partial = any(isinstance(event, Planned) and event.partial for event in events)
    finished = any(isinstance(event, Finished) for event in events)
    stopped = sum(_is_interrupted(event) for event in events if isinstance(event, Done))
    done = delivered or (partial and finished and not {"failed", "skipped"} & set(hows))
    return MachineRun(
        number=number,
        time=began,
        seconds=ended - began,
        built=hows.count("built"),
        reused=hows.count("reused"),
        failed=hows.count("failed") - stopped,
        skipped=hows.count("skipped"),
        result="done" if done else "failed" if finished and not stopped else "unfinished",
        partial=partial,
    )


def _is_interrupted(event: Done) -> bool:
    return event.how == "failed" and (event.reason or "").endswith(f": {INTERRUPTED}")


def runs_in(store: Store, name: str) -> tuple[Run, ...]:
    """The runs of the package with this id, the oldest first."""
    return runs_of(
        store.actions_of("build", name),
        store.actions_of("merge", name),
        (*store.actions_of("build-failed", name), *store.actions_of("merge-failed", name)),
    )


def names_in(store: Store) -> tuple[str, ...]:
    """The ids of all packages that have runs."""
    kinds = ("build", "build-failed", "merge-failed")
    return tuple(sorted({name for kind in kinds for name in store.action_names(kind)}))


def runs_of(
    builds: Sequence[Action], merges: Sequence[Action], failures: Sequence[Action] = ()
) -> tuple[Run, ...]:
    """The runs of one package, the oldest first, from its actions; ``failures`` have no outputs."""
    runs: list[Run] = []
    before: Action | None = None
    layer: str | None = None
    for action in sorted((*builds, *failures), key=lambda action: action.created):
        if action.kind == "merge-failed":
            runs = _with_failed_merge(runs, action, builds)
            continue
        failed = action.kind == "build-failed"
        merge = None if failed else _merge_of(action, merges)
        now = merge.outputs.get("layer") if merge else None
        runs.append(
            Run(
                package=action.name,
                time=action.created,
                result="failed" if failed else _result(layer, now),
                use=tuple(action.parts.get("use", "").split()),
                build=action.seconds,
                merge=merge.seconds if merge else None,
                layer=now,
                changed=_changed(before, action),
                log=action.log,
                failed="build" if failed else None,
                key=None if failed else action.key,
            )
        )
        before, layer = action, now or layer
    return tuple(runs)


def _with_failed_merge(runs: list[Run], failure: Action, builds: Sequence[Action]) -> list[Run]:
    """Add a failed merge to the run that built its package just before, or as a separate run."""
    last = runs[-1] if runs else None
    built = [b for b in builds if b.outputs.get("gpkg") == failure.parts.get("gpkg")]
    if last is not None and last.result == "lost" and any(b.key == last.key for b in built):
        ended = replace(
            last,
            time=failure.created,
            result="failed",
            merge=failure.seconds,
            log=failure.log,
            failed="merge",
        )
        return [*runs[:-1], ended]
    use = tuple(built[-1].parts.get("use", "").split()) if built else ()
    alone = Run(
        package=failure.name,
        time=failure.created,
        result="failed",
        use=use,
        merge=failure.seconds,
        log=failure.log,
        failed="merge",
    )
    return [*runs, alone]


def _merge_of(build: Action, merges: Sequence[Action]) -> Action | None:
    """The merge that followed a build: the first of its GPKG that is not older, else the newest."""
    gpkg = build.outputs.get("gpkg")
    of_it = [merge for merge in merges if merge.parts.get("gpkg") == gpkg]
    later = [merge for merge in of_it if merge.created >= build.created]
    return later[0] if later else of_it[-1] if of_it else None


def _result(before: str | None, now: str | None) -> Result:
    if now is None:
        return "lost"
    if before is None:
        return "first"
    return "same" if before == now else "different"


def _changed(before: Action | None, now: Action) -> tuple[str, ...]:
    return tuple(c.part for c in changes(before.parts, now.parts)) if before else ()
