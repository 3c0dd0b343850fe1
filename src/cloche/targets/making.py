"""Builds what a target wants, in environments that its level allows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cloche.building.errors import BuildError
from cloche.building.machine import build_machine
from cloche.building.packages import Builder
from cloche.output.binhost import index_of
from cloche.records.builds import recorded
from cloche.session.building import with_jobserver
from cloche.session.session import Session
from cloche.targets.description import Description
from cloche.targets.levels import Level
from cloche.targets.planning import Planned, best_plan
from cloche.targets.replay import notes_of, replay, session_for
from cloche.targets.results import Built, MadePackage, Refused, Want
from cloche.targets.symbols import needed_symbols, too_new
from cloche.tasks.errors import StepError


def build(session: Session, name: str, description: Description, want: Want, into: Path) -> Built:
    """Build what a target would merge for a want; GPKGs go to the directory ``into``.

    Packages that fail, or for which there is no environment that fits, are among the refused.
    Raises ResolutionError where the target's Portage refuses the want, ClocheError.
    """
    session = session_for(session, description)
    own = replay(session, name, description, want)
    expand = own.plan.graph.use_expand
    notes = tuple(notes_of(session, description, inject=want.inject, expand=expand))
    if not own.wanted:
        return Built(notes=(*notes, "nothing has to be built: all is installed"))
    with best_plan(session, name, description, want, own) as planned:
        context = planned.builder.context
        place, count = context.inputs.place, context.policy.records
        with (
            recorded(context.store, context.bus, place, context.inputs.machine, count=count),
            with_jobserver(context, session.slots) as working,
        ):
            policy = replace(working.policy, known_failures=not want.again)
            working = replace(working, policy=policy)
            planned = replace(planned, builder=replace(planned.builder, context=working))
            failed = _carried_out(planned.builder)
            made = tuple(_made(planned, want.level, into))
    unfit = {each.cpv: too_new(description, each.symbols, want.level) for each in made}
    refused = (Refused(cpv, reasons) for cpv, reasons in unfit.items() if reasons)
    fitting = tuple(each for each in made if not unfit[each.cpv])
    return Built(fitting, (*planned.refused, *failed, *refused), notes)


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
