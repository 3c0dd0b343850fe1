"""Runs pkg_pretend, ebuilds' own checks, for all packages to build before anything is built."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloche.building.context import BuildContext
from cloche.building.forecast import Forecast
from cloche.building.stages import stage_call
from cloche.plan.depgraph import Package
from cloche.records import elog
from cloche.records.errorlines import error_lines, why_it_died
from cloche.records.events import Elog, Stage
from cloche.records.logs import compress_finished, new_log
from cloche.tasks.errors import (
    GuestError,
    StepError,
    StoppedError,
)
from cloche.tasks.guestcall import call

NAME = "pretend"  # of the stage, the guest's script, and the step in events


def checked(packages: Sequence[Package], fates: Mapping[str, Forecast]) -> tuple[Package, ...]:
    """The packages whose pkg_pretend runs: those that may be built, and define it."""
    return tuple(
        package
        for package in packages
        if NAME in package.defined_phases
        and package.binary is None
        and fates[package.id].fate in ("build", "perhaps")
    )


def check(context: BuildContext, packages: Sequence[Package]) -> tuple[StepError, ...]:
    """Run pkg_pretend of packages in one sandbox over the seed; return the errors.

    Raises GuestError, StoppedError.
    """
    if not packages:
        return ()
    place, began = context.inputs.log_name, time.monotonic()
    log = new_log(context.store, place, NAME)
    context.bus(Stage(name=NAME, state="start"))
    try:
        answers = _answers(context, packages, log)
    except GuestError as error:
        if context.running.stopped:
            raise StoppedError(f"machine/{context.inputs.machine}", NAME) from error
        raise
    context.bus(Stage(name=NAME, state="end", seconds=time.monotonic() - began))
    errors = tuple(_errors(context, packages, answers))
    if not errors:
        compress_finished(context.store, place, log)
    return errors


def _answers(
    context: BuildContext, packages: Sequence[Package], log: Path
) -> dict[str, Mapping[str, Any]]:
    """The guests' answers by package id, untrusted. Each root has its own guest."""
    found: dict[str, Mapping[str, Any]] = {}
    for broot in (True, False):
        group = [package for package in packages if package.broot is broot]
        result = _asked(context, group, "/" if broot else context.root, log) if group else {}
        said = result.get("packages")
        by_name = {
            f"{each.get('cpv')}::{each.get('repo')}": each
            for each in (said if isinstance(said, list) else ())
            if isinstance(each, dict)
        }
        found |= {each.id: by_name[each.name] for each in group if each.name in by_name}
    return found


def _asked(
    context: BuildContext, packages: Sequence[Package], root: str, log: Path
) -> Mapping[str, Any]:
    with context.store.workspace(NAME) as workspace:
        request = {
            "root": root,
            "packages": [{"cpv": each.cpv, "repo": each.repo} for each in packages],
        }
        wanted = stage_call(context, NAME, request, workspace, log)
        result, _ = call(context.engine, context.running, wanted)
    if result.get("status") != "ok":
        raise GuestError(f"the guest's {NAME} failed: {result.get('text') or 'no answer'}")
    return result


def _errors(
    context: BuildContext,
    packages: Sequence[Package],
    answers: Mapping[str, Mapping[str, Any]],
) -> list[StepError]:
    """The errors of packages whose pkg_pretend failed, from untrusted answers."""
    errors = []
    for package in packages:
        answer = answers.get(package.id, {"text": "no answer"})
        if messages := elog.messages_of(answer):
            context.bus(Elog(package=package.id, step=NAME, messages=messages))
        if answer.get("text") is not None:
            text = str(answer["text"])
            reason = f"pkg_pretend: {why_it_died(text) or 'it failed'}"
            lines = "\n".join(error_lines(text.splitlines()))
            todo = "the ebuild's own check fails; change what its message names"
            errors.append(StepError(package.id, NAME, reason, todo=todo, detail=lines))
    return errors
