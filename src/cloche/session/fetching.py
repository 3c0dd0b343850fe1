"""Bringing in the sources and binary packages of a machine, so that it can be built offline."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cloche.building import binpkg
from cloche.building.context import BuildContext
from cloche.building.fetch import obtain
from cloche.building.liveahead import fetch_live, lacking_live
from cloche.building.machine import FETCHERS
from cloche.config.machine import Machine
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.records.events import Note
from cloche.session.building import prepare
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.opened import Opened
from cloche.tasks import distfiles


@dataclass(frozen=True, slots=True)
class Fetch:
    """The names of a machine's distfiles; what of it, and of binary packages, is not here; why."""

    files: tuple[str, ...]
    missing: tuple[str, ...]
    failed: tuple[ClocheError, ...] = ()


def fetch(opened: Opened, machine: Machine, choices: Choices) -> Fetch:
    """Fetch all that a machine needs; what could not be had is in the answer."""
    context = context_of(opened, machine, choices)
    builder = prepare(context, opened.project, machine, choices)
    packages, store = builder.plan.packages, opened.store
    files = {file.name: file for each in packages for file in each.distfiles}
    lacking = distfiles.missing(store, files.values())
    number = f"{len(files)} distfile{'' if len(files) == 1 else 's'}"
    context.bus(Note(text=f"{machine.name}: {number}, {len(lacking)} to be fetched"))
    failed = [*_fetch_all(context, packages), *fetch_live(builder)]
    missing = sorted(file.name for file in distfiles.missing(store, files.values()))
    missing += sorted(
        each.binary.path for each in packages if each.binary and not binpkg.found(context, each)
    )
    return Fetch(tuple(sorted(files)), (*missing, *lacking_live(builder)), tuple(failed))


def _fetch_all(context: BuildContext, packages: Sequence[Package]) -> list[ClocheError]:
    """Fetch for all packages, a few at once; what could not be had."""
    failed: list[ClocheError] = []

    def one(package: Package) -> None:
        try:
            obtain(context, package)
        except ClocheError as error:
            failed.append(error)

    working = ThreadPoolExecutor(FETCHERS, thread_name_prefix="fetch")
    try:
        for future in [working.submit(one, package) for package in packages]:
            future.result()
    except BaseException:
        context.running.stop()
        raise
    finally:
        working.shutdown(cancel_futures=True)
    return failed
