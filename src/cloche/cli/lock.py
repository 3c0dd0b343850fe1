"""`cloche lock` and `cloche fetch`: pin all inputs of machines, and bring them in."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import click
import msgspec

from cloche.building import (
    binpkg,
    locking,
)
from cloche.building.context import BuildContext, Inputs
from cloche.building.errors import MissingSeedError
from cloche.building.fetch import fetch as fetch_package
from cloche.building.liveahead import fetch_live, lacking_live, live_packages
from cloche.building.machine import FETCHERS
from cloche.cli.build import live_option
from cloche.cli.complete import complete_machine
from cloche.cli.repo import sync_index, sync_repository
from cloche.cli.seed import How, make_seed
from cloche.cli.terminable import terminable
from cloche.cli.workplace import (
    Choices,
    Options,
    opened_context,
    prepared,
    say,
    telling_of_long_stages,
)
from cloche.config import lock as locks
from cloche.config.drift import inputs_drift, live_drift, packages_drift
from cloche.config.errors import Origin, no_machines
from cloche.config.machine import Machine
from cloche.config.project import Project, load_project
from cloche.display.text import count, one_line, size
from cloche.errors import ClocheError, Exit
from cloche.plan.depgraph import Package
from cloche.records.events import Event, Fetched
from cloche.tasks import distfiles


@click.command(
    epilog="""\b
Examples:
  cloche lock workbench
  cloche lock workbench --update
  cloche lock --check && cloche build workbench --locked
  cloche lock workbench --json | jq '.distfiles'
"""
)
@click.argument("machines", nargs=-1, shell_complete=complete_machine)
@click.option("--check", is_flag=True, help="Write nothing; say what differs, status 1 if any.")
@click.option(
    "--update", is_flag=True, help="Take the newest sources of live ebuilds, and pin these."
)
@live_option
@click.option("--json", "as_json", is_flag=True, help="What was locked, for programs.")
@click.pass_obj
def lock(
    options: Options,
    machines: tuple[str, ...],
    check: bool,
    update: bool,
    live: bool,
    as_json: bool,
) -> None:
    """Pin all that MACHINES (all of the project's, without any) are made from in cloche.lock.

    The seed to the byte, every repository's content, the configuration, what Portage resolves,
    every distfile's digest, the commits of live ebuilds. `cloche build --locked` refuses whatever
    differs from it.
    """
    project = load_project(options.directory)
    if not check:
        locks.check(project.lock)
    told, differs, failed = {}, False, False
    choices = Choices(live=live)
    for name in _named(project, machines):
        wanted = project.machine(name)
        with (
            terminable(),
            opened_context(options, project, wanted, choices, telling_of_long_stages()) as context,
        ):
            worker = prepared(context, project, wanted, choices)
            before = locks.read(project.lock)
            for error in [] if check else fetch_live(worker, update=update):
                say(one_line(str(error)))
                failed = True
            packages = worker.plan.packages
            gpkgs = locking.fetched_binpkgs(context, packages)
            now = locking.locked(before, wanted, context.inputs, packages, gpkgs)
            live_ones = [each.id for each in live_packages(worker)]
            changes = _changes(before, now, name)
            changes += live_drift(live_ones, before, locks.read(project.lock))
            if not check:
                _write(project, wanted, context.inputs, packages, gpkgs)
        entry = now.machines[name]
        differs |= bool(changes)
        told[name] = {"changes": changes, "repos": entry.repos, "packages": entry.packages} | {
            "distfiles": [file.name for file in entry.distfiles],
            "binpkgs": [pin.path for pin in entry.binpkgs],
            "live": {id: locks.read(project.lock).live.get(id) for id in live_ones},
        }
        _tell(name, entry, changes, check=check)
    differs |= _tidy(project, check=check)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(told), indent=2))
    if failed or (check and differs):
        sys.exit(Exit.FAILED)


def _tidy(project: Project, *, check: bool) -> bool:
    """Take out of the lock what the project declares no longer, say so; whether there is any."""
    declared = (project.seeds, project.repos, project.binrepos, project.machines)
    _, gone = locks.undeclared(locks.read(project.lock), *declared)
    if gone and not check:
        locks.change(project.lock, lambda lock: locks.undeclared(lock, *declared)[0])
    for line in gone:
        say(f"{project.lock.name}: {line}")
    return bool(gone)


def _write(
    project: Project,
    machine: Machine,
    inputs: Inputs,
    packages: tuple[Package, ...],
    gpkgs: Mapping[str, str],
) -> None:
    locks.change(project.lock, lambda lock: locking.locked(lock, machine, inputs, packages, gpkgs))


def _changes(before: locks.Lock, now: locks.Lock, name: str) -> list[str]:
    """What changes for a machine; all of it is new where it was not locked."""
    old, new = before.machines.get(name), now.machines[name]
    if old is None:
        return ["it was not locked before"]
    repos = {repo: now.repos[repo] for repo in new.repos}  # not those of other machines
    return inputs_drift(old, new, before.repos, repos) + packages_drift(old, new)


def _tell(name: str, entry: locks.MachineLock, changes: list[str], *, check: bool) -> None:
    made_of = f"{count(len(entry.packages), 'package')}, {count(len(entry.distfiles), 'distfile')}"
    if entry.binpkgs:
        made_of += f", {count(len(entry.binpkgs), 'binary package')}"
    how = "as locked" if not changes else "differs" if check else "locked"
    say(f"{name}: {how} ({made_of})")
    for line in changes:
        say(f"  {line}")


@click.command(
    epilog="""\b
Examples:
  cloche fetch workbench
  cloche fetch --locked && cloche build workbench --offline --locked
"""
)
@click.argument("machines", nargs=-1, shell_complete=complete_machine)
@click.option("--locked", is_flag=True, help="Refuse whatever is not as in cloche.lock.")
@live_option
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def fetch(
    options: Options, machines: tuple[str, ...], locked: bool, live: bool, as_json: bool
) -> None:
    """Bring in all that MACHINES (all of the project's, without any) need, sources and all.

    Afterwards `cloche build --offline` works. What is there already stays; what could not be had is
    named, the rest is fetched nevertheless.
    """
    project = load_project(options.directory)
    told = {}
    for name in _named(project, machines):
        told[name] = _fetch(options, project, name, Choices(locked=locked, live=live))
    if as_json:
        click.echo(json.dumps(told, indent=2))
    if any(each["missing"] for each in told.values()):
        sys.exit(Exit.FAILED)


def _fetch(options: Options, project: Project, name: str, choices: Choices) -> dict[str, list[str]]:
    """Everything of one machine."""
    wanted = project.machine(name)
    for spec in project.repos.values():
        if spec.sync is not None:
            sync_repository(options, project, spec)
    for host in wanted.binrepos:
        sync_index(options, project, project.binrepos[host])
    try:
        return _fetch_sources(options, project, name, choices)
    except MissingSeedError:
        make_seed(options, project, project.seeds[wanted.seed], How())
    return _fetch_sources(options, project, name, choices)


def _fetch_sources(
    options: Options, project: Project, name: str, choices: Choices
) -> dict[str, list[str]]:
    wanted = project.machine(name)
    fetched: list[str] = []
    stages = telling_of_long_stages()

    def sink(event: Event) -> None:
        if isinstance(event, Fetched):
            fetched.append(event.file)
            say(f"  {event.file}  {size(event.size)}")
        stages(event)

    with terminable(), opened_context(options, project, wanted, choices, sink) as context:
        worker = prepared(context, project, wanted, choices)
        packages = worker.plan.packages
        named = {file.name: file for each in packages for file in each.distfiles}
        files = tuple(named.values())
        lacking = distfiles.missing(context.store, files)
        say(f"{name}: {count(len(files), 'distfile')}, {len(lacking)} to be fetched")
        failed = _all(context, packages)
        missing = sorted({file.name for file in distfiles.missing(context.store, files)})
        missing += sorted(
            each.binary.path for each in packages if each.binary and not binpkg.found(context, each)
        )
        failed += fetch_live(worker)
        missing += lacking_live(worker)
    for error in failed:
        say(one_line(str(error)))
    ending = f", {len(missing)} missing: {', '.join(missing)}" if missing else ""
    say(f"{name}: {count(len(fetched), 'file')} fetched{ending}")
    return {"files": sorted(named), "fetched": fetched, "missing": missing}


def _all(context: BuildContext, packages: tuple[Package, ...]) -> list[ClocheError]:
    """Fetch for all packages, a few at once; what could not be had."""
    failed: list[ClocheError] = []

    def one(package: Package) -> None:
        try:
            if package.binary is not None:
                binpkg.obtain(context, package)
            else:
                fetch_package(context, package, dict(os.environ))
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


def _named(project: Project, machines: tuple[str, ...]) -> tuple[str, ...]:
    if not machines and not project.machines:
        raise no_machines(Origin(project.root / "machines"))
    return machines or project.machines
