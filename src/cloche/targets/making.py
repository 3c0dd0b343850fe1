"""Builds what a target wants, in environments that its level allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.building.errors import BuildError
from cloche.building.machine import build_machine, resolve_and_plan
from cloche.building.packages import Builder
from cloche.output.binhost import index_of
from cloche.plan.depgraph import Package
from cloche.plan.names import cp_of
from cloche.plan.plan import narrowed, widened
from cloche.records.builds import recorded
from cloche.session.building import with_jobserver
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.environments import environments, seen_in, whole
from cloche.targets.etc import etc_of, pins, stands_for_nothing
from cloche.targets.levels import Environment, Level, Seen, differences
from cloche.targets.machines import machine_of, opened, seed_for, versions
from cloche.targets.replay import Replayed, notes_of, replay, session_for
from cloche.targets.results import Built, MadePackage, Refused, Want
from cloche.targets.symbols import needed_symbols
from cloche.targets.vdb import installed_in, installed_of
from cloche.tasks.errors import StepError

#: So that the seed's packages are replaced by what the target has.
_DEEP = ("--update", "--deep", "--newuse")


@dataclass(frozen=True, slots=True)
class Planned:
    """The packages of a want in environments that fit, and those for which there are none."""

    builder: Builder
    wanted: Mapping[str, Environment]
    refused: tuple[Refused, ...]


def build(session: Session, name: str, description: Description, want: Want, into: Path) -> Built:
    """Build what a target would merge for a want; GPKGs go to the directory ``into``.

    Packages that fail, or for which there is no environment that fits, are among the refused.
    Raises ResolutionError where the target's Portage refuses the want, ClocheError.
    """
    session = session_for(session, description)
    notes = tuple(notes_of(session, description, inject=want.inject))
    own = replay(session, name, description, want)
    if not own.wanted:
        return Built(notes=(*notes, "nothing has to be built: all is installed"))
    with building_context(session, name, description, want, own) as context:
        place, count = context.inputs.place, context.policy.records
        with (
            recorded(context.store, context.bus, place, context.inputs.machine, count=count),
            with_jobserver(context, session.slots) as context,
        ):
            planned = plan(context, description, want, own)
            failed = _carried_out(planned.builder)
            made = tuple(_made(planned, want.level, into))
    return Built(made, (*planned.refused, *failed), notes)


@contextmanager
def building_context(
    session: Session, name: str, description: Description, want: Want, own: Replayed
) -> Iterator[BuildContext]:
    """The machine that builds for a target at a level. Raises ClocheError."""
    level, packages = want.level, own.plan.packages
    options = _DEEP if level.rank >= Level.ABI.rank else ()
    seed = seed_for(session.store, session.project, description)
    machine = machine_of(session.project, description, f"{name}/{level}", seed, options)
    expand = own.plan.graph.use_expand
    etc = dict(etc_of(description, level, inject=want.inject, expand=expand).files)
    choices = Choices(keep_going=True)
    if level is Level.ABI:
        with opened(session, machine, etc, choices) as context:
            found = versions(context, {cp_of(cpv) for cpv in description.packages})
    else:
        found = {}
    replaced = {(each.cp, each.slot) for each in packages}
    etc |= pins(description, level, replaced, found)
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
    here = environments(builder.plan, installed, target)
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
            reasons = ("the target could not tell what -march=native is there",)
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


def _carried_out(builder: Builder) -> tuple[Refused, ...]:
    """Build a plan; return what failed."""
    if not builder.plan.packages:
        return ()
    try:
        build_machine(builder)
    except BuildError as error:
        failed = [each for each in error.errors if isinstance(each, StepError)]
        if not failed or builder.context.running.stopped:
            raise
        return tuple(
            Refused(each.package.partition("::")[0], (each.what,), each.log or None)
            for each in failed
        )
    return ()


def _made(planned: Planned, level: Level, into: Path) -> Iterator[MadePackage]:
    """What was made of the packages of a want, each with its file."""
    builder, context = planned.builder, planned.builder.context
    by_id, store = builder.plan.graph.by_id(), builder.context.store
    done = [(by_id[id], *builder.results[id]) for id in planned.wanted if id in builder.results]
    index = index_of(context, [(package, made.gpkg) for package, made, _ in done])
    entries = entries_of(index.path.read_text(encoding="utf-8"))
    for package, made, built in done:
        blob = store.blob(made.gpkg)
        file = into / made.gpkg
        _place(blob.path, file)
        yield MadePackage(
            cpv=package.cpv,
            repository=package.repo,
            use=tuple(sorted(set(package.use) & set(package.iuse))),
            gpkg=made.gpkg,
            file=file,
            size=file.stat().st_size,
            entry=entries[package.cpv],
            environment=planned.wanted[package.id],
            symbols=needed_symbols(context.layer(made.layer).path),
            seed=context.inputs.base[0].id,
            level=level,
            built=built,
            seconds=sum(builder.worked.get(package.id, {}).values()),
        )


def entries_of(index: str) -> dict[str, str]:
    """The entries of an index (`Packages`), by CPV."""
    _, *entries = index.rstrip("\n").split("\n\n")
    found = {}
    for entry in entries:
        (cpv,) = (line[5:] for line in entry.splitlines() if line.startswith("CPV: "))
        found[cpv] = entry.strip("\n")
    return found


def _place(source: Path, target: Path) -> None:
    """Give a file of the store another name, by a link where that is possible."""
    part = target.with_name(f".{target.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    try:
        os.link(source, part)
    except OSError:
        shutil.copyfile(source, part)
    part.replace(target)
