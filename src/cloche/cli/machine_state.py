"""What a machine is now: whether a build would change something, and what its builds hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from cloche.cli.options import check_machine
from cloche.config.project import Project
from cloche.display.text import one_line
from cloche.errors import ClocheError
from cloche.output.end import end_digest
from cloche.output.holdings import Holding, ended_badly, holding
from cloche.output.remembered import finished_machine
from cloche.records.history import MachineRun
from cloche.session.building import Preview
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import Store

_BUILD = re.compile(r"(.+)@(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Summary:
    """A machine in one line. ``built`` is in seconds since the epoch, ``size`` in bytes.

    ``state`` is "current" if a build would change nothing, "behind", "not built", "failed" if that
    is how the last build ended, or "unknown" with the reason in ``why``.
    """

    name: str
    seed: str
    profile: str
    root: str
    state: str
    packages: int | None = None
    size: int | None = None
    built: float | None = None
    build: int | None = None
    why: str = ""


def summary_of(session: Session, name: str) -> Summary:
    """A machine in one line; what it would be now is looked up without fetching anything."""
    try:
        declared = session.project.machine(name)
    except ClocheError as error:
        return Summary(name, "-", "-", "-", "unknown", why=one_line(str(error)))
    profile = f"{declared.profile.repo}:{declared.profile.path}"
    root = "own" if declared.own_root else "seed"
    last = ended_badly(session.store, session.project.place, name)
    state = "failed" if last and last.result == "failed" else "not built"
    summary = Summary(name, declared.seed, profile, root, state)
    try:
        held = holding(session.store, session.project.place, name)
    except ClocheError:
        return summary
    state, why = ("failed", "") if state == "failed" else state_of(session, name, held)
    return replace(
        summary,
        state=state,
        packages=len(held.packages),
        size=held.size,
        built=ended(held.run),
        build=held.run.number,
        why=why,
    )


def state_of(session: Session, name: str, held: Holding) -> tuple[str, str]:
    """Whether a build would change something, and why that is not known."""
    try:
        seen = session.plan(name, Choices(offline=True))
    except ClocheError as error:
        return "unknown", one_line(str(error))
    by_id = seen.builder.plan.graph.by_id()
    members = [by_id[id] for id in seen.builder.plan.members]
    planned, there = (
        {(each.cp, each.slot, each.version) for each in packages}
        for packages in (members, (*held.packages.values(), *held.removed))
    )
    same = planned == there
    reused = all(each.fate == "reuse" for each in seen.fates.values())
    ends = same and reused and _ends_alike(session, name, seen)
    return ("current" if ends else "behind"), ""


def _ends_alike(session: Session, name: str, seen: Preview) -> bool:
    """Whether a build would give what the last one gave of the same packages."""
    declared = session.project.machine(name)
    pin = finished_machine(session.store, declared)
    before = pin.data.get("end") if pin else None  # builds of older versions have none
    return before is None or before == end_digest(declared, seen.builder.context.inputs)


def ended(run: MachineRun) -> float:
    """When a build ended, in seconds since the epoch."""
    return run.time + run.seconds


def held_by(store: Store, project: Project, name: str) -> Holding:
    """What a machine holds, or a build of it, as MACHINE@BUILD. Raises ClocheError."""
    asked, number = split(name)
    check_machine(asked, project.machines, project.root / "machines")
    return holding(store, project.place, asked, number)


def split(name: str) -> tuple[str, int | None]:
    """MACHINE@BUILD as its two parts. Raises ClocheError."""
    found = _BUILD.fullmatch(name)
    if name.endswith("@"):
        todo = f"write “{name}3”, or “{name[:-1]}” for the last build"
        raise ClocheError(f"“{name}”: the number of the build is missing", todo=todo)
    return (found[1], int(found[2])) if found else (name, None)
