"""pkg_pretend of all packages that are to be built, before anything is: their own checks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cloche.build import elog
from cloche.build.diagnose import why_it_died
from cloche.build.errorlines import error_lines
from cloche.build.errors import GuestError, StepError, StoppedError
from cloche.build.events import Elog, Stage
from cloche.build.guestcall import call
from cloche.build.logs import compress_finished, new_log
from cloche.build.preview import Forecast
from cloche.build.stages import stage_call
from cloche.build.workshop import Workshop
from cloche.plan.depgraph import Package

NAME = "pretend"  # of the stage, the guest's script, and the step in events


def checked(packages: Sequence[Package], fates: Mapping[str, Forecast]) -> tuple[Package, ...]:
    """The packages whose pkg_pretend has a say: those that may be built here, and define it."""
    return tuple(
        package
        for package in packages
        if NAME in package.defined_phases
        and package.binary is None
        and fates[package.id].fate in ("build", "perhaps")
    )


def check(shop: Workshop, packages: Sequence[Package]) -> tuple[StepError, ...]:
    """Run pkg_pretend of packages in one sandbox over the seed; the errors of those that refuse.

    Raises GuestError, StoppedError.
    """
    if not packages:
        return ()
    place, began = f"machine/{shop.inputs.machine}", time.monotonic()
    log = new_log(shop.store, place, NAME)
    shop.bus(Stage(name=NAME, state="start"))
    try:
        result = _asked(shop, packages, log)
    except GuestError as error:
        if shop.running.stopped:
            raise StoppedError(place, NAME) from error
        raise
    shop.bus(Stage(name=NAME, state="end", seconds=time.monotonic() - began))
    errors = tuple(_errors(shop, packages, result))
    if not errors:
        compress_finished(shop.store, place)
    return errors


def _asked(shop: Workshop, packages: Sequence[Package], log: Path) -> Mapping[str, Any]:
    with shop.store.workspace(NAME) as workspace:
        request = {"packages": [{"cpv": each.cpv, "repo": each.repo} for each in packages]}
        wanted = stage_call(shop, NAME, request, workspace, log)
        result, _ = call(shop.engine, shop.running, wanted)
    if result.get("status") != "ok":
        raise GuestError(NAME, str(result.get("text") or "no answer"), "")
    return result


def _errors(
    shop: Workshop, packages: Sequence[Package], result: Mapping[str, Any]
) -> list[StepError]:
    """The errors of the packages that refuse, from answers that an ebuild may have written."""
    found = result.get("packages")
    answers = {
        f"{each.get('cpv')}::{each.get('repo')}": each
        for each in (found if isinstance(found, list) else ())
        if isinstance(each, dict)
    }
    errors = []
    for package in packages:
        answer = answers.get(f"{package.cpv}::{package.repo}", {"text": "no answer"})
        if messages := elog.messages_of(answer):
            shop.bus(Elog(package=package.id, step=NAME, messages=messages))
        if answer.get("text") is not None:
            text = str(answer["text"])
            reason = f"pkg_pretend: {why_it_died(text) or 'it refuses'}"
            lines = "\n".join(error_lines(text.splitlines()))
            error = StepError(package.id, NAME, reason, tail=lines)
            error.hint = "its ebuild refuses before it is built; change what it names"
            errors.append(error)
    return errors
