"""How a package's builds went, out of what the index keeps of them. Pure functions over actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cloche.plan.why import changes
from cloche.store import Action

Result = Literal["first", "same", "different", "failed", "lost"]


@dataclass(frozen=True, slots=True)
class Run:
    """One build of a package.

    ``time`` is when it ended, in seconds since the epoch; ``seconds`` what its steps took, None
    where that is not known. ``result`` compares its layer with that of the run before; "lost" means
    that no merge of it is known any more. ``changed`` names the parts of its key that differ from
    those of the run before.
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


def runs_of(builds: Sequence[Action], merges: Sequence[Action]) -> tuple[Run, ...]:
    """The runs of one package, the oldest first, from its build and merge actions in order."""
    runs: list[Run] = []
    before: Action | None = None
    layer: str | None = None
    for action in builds:
        merge = _merge_of(action, merges)
        now = merge.outputs.get("layer") if merge else None
        runs.append(
            Run(
                package=action.name,
                time=action.created,
                result=_result(layer, now),
                use=tuple(action.parts.get("use", "").split()),
                build=action.seconds,
                merge=merge.seconds if merge else None,
                layer=now,
                changed=_changed(before, action),
                log=action.log,
            )
        )
        before, layer = action, now or layer
    return tuple(runs)


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
