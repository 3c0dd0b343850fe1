"""Plans what a target wants: in an environment for each package that its level allows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.machine import resolve_and_plan
from cloche.building.packages import Builder
from cloche.building.unresolved import ResolutionError
from cloche.plan.depgraph import Package
from cloche.plan.names import cp_of
from cloche.plan.plan import narrowed, widened
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.environments import environments, seen_in, whole
from cloche.targets.etc import OwnCode, Versions, code_of, etc_of, pins, stands_for_nothing
from cloche.targets.levels import Environment, Level, Seen, differences
from cloche.targets.machines import machine_of, opened, seed_for, versions
from cloche.targets.replay import Replayed
from cloche.targets.results import Refused, Want
from cloche.targets.vdb import installed_in, installed_of

#: So that Portage replaces all of the seed's packages that are needed and masked, or have other
#: flags; see `pins` for what it leaves alone.
_OPTIONS: Mapping[Level, tuple[str, ...]] = {
    Level.USE: (),
    Level.FLAGS: (),
    Level.ABI: ("--update", "--deep"),
    Level.CLOSURE: ("--update", "--deep", "--changed-use"),
    Level.CLONE: ("--update", "--deep", "--changed-use"),
}


@dataclass(frozen=True, slots=True)
class Planned:
    """The packages of a want in environments that fit, and those for which there are none."""

    builder: Builder
    wanted: Mapping[str, Environment]
    refused: tuple[Refused, ...]


@contextmanager
def best_plan(
    session: Session, name: str, description: Description, want: Want, own: Replayed
) -> Iterator[Planned]:
    """The plan that refuses least: first one that leaves the seed's packages alone.

    Raises ResolutionError where Portage finds no way, ClocheError.
    """
    holds = (True, False) if want.level.rank >= Level.ABI.rank else (False,)
    for hold in holds:
        with ExitStack() as stack:
            try:
                context = stack.enter_context(
                    building_context(session, name, description, want, own, hold=hold)
                )
                planned = plan(context, description, want, own)
            except ResolutionError:
                if not hold:
                    raise
                continue
            if not planned.refused or not hold:
                yield planned
                return


@contextmanager
def building_context(
    session: Session, name: str, description: Description, want: Want, own: Replayed, *, hold: bool
) -> Iterator[BuildContext]:
    """The machine that builds for a target at a level. Raises ClocheError.

    With ``hold`` packages of the seed stay as they are where the level does not say otherwise.
    """
    level, packages = want.level, own.plan.packages
    seed = seed_for(session.store, session.project, description)
    machine = machine_of(session.project, description, f"{name}/{level}", seed, _OPTIONS[level])
    expand = own.plan.graph.use_expand
    etc = dict(etc_of(description, level, inject=want.inject, expand=expand).files)
    choices = Choices(keep_going=True)
    found: Versions = {}
    held: tuple[Seen, ...] = ()
    if level.rank >= Level.ABI.rank:
        with opened(session, machine, etc, choices) as context:
            held = tuple(installed_in(_vdbs(context)).values()) if hold else ()
            if level is Level.ABI:
                found = versions(context, {cp_of(cpv) for cpv in description.packages})
    replaced = {(each.cp, each.slot) for each in packages}
    etc |= pins(description, level, replaced, found, held)
    with opened(session, machine, etc, choices) as context:
        yield context


def plan(context: BuildContext, description: Description, want: Want, own: Replayed) -> Planned:
    """The plan for the packages of a want, and what cannot be made as the level demands."""
    level, installed = want.level, installed_in(_vdbs(context))
    wanted = own.wanted
    builder = resolve_and_plan(context, _targets(description, level, wanted.values(), installed))
    if level is Level.CLONE:
        builder = replace(builder, plan=widened(builder.plan, wanted))
    target = whole(installed_of(description)) if level is Level.CLONE else ""
    code = code_of(description) if want.inject else OwnCode()
    here = environments(builder.plan, installed, context.inputs.etc, code, target)
    by_id = builder.plan.graph.by_id()
    missing = _missing(description, level, {*installed.values(), *seen_in(builder.plan.graph)})
    fitting: dict[str, Environment] = {}
    refused = []
    for id, package in wanted.items():
        reasons = _other_package(package, by_id.get(id)) or (
            *missing,
            *differences(here[id], own.environments[id], level),
        )
        if level.rank >= Level.FLAGS.rank and stands_for_nothing(description):
            reasons = ("the target could not tell what “native” in its compiler flags is there",)
        if reasons:
            refused.append(Refused(package.cpv, tuple(reasons)))
        else:
            fitting[id] = here[id]
    narrow = narrowed(builder.plan, fitting)
    if level.rank < Level.ABI.rank:  # the target may need other libraries than it has
        fitting |= {id: here[id] for id in narrow.members}
    return Planned(replace(builder, plan=narrow, partial=True), fitting, tuple(refused))


def _missing(description: Description, level: Level, there: Collection[Seen]) -> tuple[str, ...]:
    """What a clone of a target would lack."""
    if level is not Level.CLONE:
        return ()
    return tuple(
        f'{cpv} with USE="{" ".join(each.use)}" is on the target, and cannot be made here'
        for cpv, each in installed_of(description).items()
        if each not in there
    )


def _vdbs(context: BuildContext) -> tuple[Path, ...]:
    return tuple(each.path for each in context.inputs.base if each.kind != "config")


def _targets(
    description: Description,
    level: Level,
    wanted: Collection[Package],
    installed: Collection[str],
) -> tuple[str, ...]:
    """What Portage resolves: the wanted packages, for a clone all that is installed, too."""
    atoms = [f"={each.cpv}::{each.repo}" for each in wanted]
    if level is Level.CLONE:
        replaced = {each.cp for each in wanted}
        missing = (cpv for cpv in description.packages if cpv not in installed)
        atoms += [f"={cpv}" for cpv in missing if cp_of(cpv) not in replaced]
    return tuple(atoms)


def _other_package(wanted: Package, found: Package | None) -> tuple[str, ...]:
    """Why a package of the plan is not the one that the target's Portage would merge."""
    if found is None:
        return ("Portage did not choose it here",)
    there, here = set(wanted.use) & set(wanted.iuse), set(found.use) & set(found.iuse)
    return tuple(
        f"USE={'' if flag in there else '-'}{flag} on the target, not here"
        for flag in sorted(there ^ here)
    )
