"""`cloche lock` and `cloche fetch`: pin all inputs of machines, and fetch them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import click
import msgspec

from cloche.building.errors import MissingSeedError
from cloche.cli.build import live_option
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say, telling_of_long_stages
from cloche.cli.repo import sync_index, sync_repository
from cloche.cli.seed import say_of_seed
from cloche.cli.terminable import terminable
from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.errors import Origin, no_machines
from cloche.config.project import Project, load_project
from cloche.display.text import count, one_line, size
from cloche.errors import Exit
from cloche.records.events import Event, Fetched
from cloche.session.choices import Choices
from cloche.session.inputs import SeedOptions


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
@click.option("--check", is_flag=True, help="Write nothing; report differences (then status 1).")
@click.option("--update", is_flag=True, help="Fetch and pin the newest sources of live ebuilds.")
@live_option
@click.option("--json", "as_json", is_flag=True, help="Print what was locked as JSON.")
@click.pass_obj
def lock(
    options: Options,
    machines: tuple[str, ...],
    check: bool,
    update: bool,
    live: bool,
    as_json: bool,
) -> None:
    """Pin everything that MACHINES are made from in cloche.lock.

    The default is all machines of the project. Pinned are the content of the seed and of every
    repository, the configuration, the packages that Portage resolves, the digest of every distfile,
    and the commits of live ebuilds. `cloche build --locked` refuses anything that differs.
    """
    project = load_project(options.directory)
    if not check:
        locks.check(project.lock)
    data, differs, failed = {}, False, False
    for name in _named(project, machines):
        with terminable(), opened_session(options, project, name) as session:
            now = session.lock(name, Choices(live=live), check=check, update=update)
        for error in now.failed:
            say(one_line(str(error)))
        entry = now.machine
        failed |= bool(now.failed)
        differs |= bool(now.changes)
        data[name] = {
            "changes": now.changes,
            "repos": entry.repos,
            "packages": entry.packages,
            "distfiles": [file.name for file in entry.distfiles],
            "binpkgs": [pin.path for pin in entry.binpkgs],
            "live": now.live,
        }
        _tell(name, entry, now.changes, check=check)
    differs |= _tidy(project, check=check)
    if as_json:
        click.echo(json.dumps(msgspec.to_builtins(data), indent=2))
    if failed or (check and differs):
        sys.exit(Exit.FAILED)


def _tidy(project: Project, *, check: bool) -> bool:
    """Remove from the lock what the project no longer declares; whether there was any."""
    declared = (project.seeds, project.repos, project.binrepos, project.machines)
    _, gone = lock_entries.undeclared(locks.read(project.lock), *declared)
    if gone and not check:
        locks.change(project.lock, lambda lock: lock_entries.undeclared(lock, *declared)[0])
    for line in gone:
        say(f"{project.lock.name}: {line}")
    return bool(gone)


def _tell(name: str, entry: locks.MachineLock, changes: Sequence[str], *, check: bool) -> None:
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
@click.option("--locked", is_flag=True, help="Refuse anything that differs from cloche.lock.")
@live_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def fetch(
    options: Options, machines: tuple[str, ...], locked: bool, live: bool, as_json: bool
) -> None:
    """Fetch everything that MACHINES need.

    The default is all machines of the project. Afterwards `cloche build --offline` works. Files
    that are already in the store are kept. If some cannot be fetched, they are listed, and the
    others are fetched nevertheless.
    """
    project = load_project(options.directory)
    data = {}
    for name in _named(project, machines):
        data[name] = _fetch(options, project, name, Choices(locked=locked, live=live))
    if as_json:
        click.echo(json.dumps(data, indent=2))
    if any(each["missing"] for each in data.values()):
        sys.exit(Exit.FAILED)


def _fetch(options: Options, project: Project, name: str, choices: Choices) -> dict[str, list[str]]:
    """Fetch everything that one machine needs."""
    wanted = project.machine(name)
    for spec in project.repos.values():
        if spec.sync is not None:
            sync_repository(options, project, spec)
    for host in wanted.binrepos:
        sync_index(options, project, project.binrepos[host])
    fetched: list[str] = []
    stages = telling_of_long_stages()

    def sink(event: Event) -> None:
        if isinstance(event, Fetched):
            fetched.append(event.file)
            say(f"  {event.file}  {size(event.size)}")
        stages(event)

    with terminable(), opened_session(options, project, sink=sink) as session:
        try:
            found = session.fetch(name, choices)
        except MissingSeedError:
            say_of_seed(session, project.seeds[wanted.seed], SeedOptions())
            found = session.fetch(name, choices)
    for error in found.failed:
        say(one_line(str(error)))
    missing = list(found.missing)
    ending = f", {len(missing)} missing: {', '.join(missing)}" if missing else ""
    say(f"{name}: {count(len(fetched), 'file')} fetched{ending}")
    return {"files": list(found.files), "fetched": fetched, "missing": missing}


def _named(project: Project, machines: tuple[str, ...]) -> tuple[str, ...]:
    if not machines and not project.machines:
        raise no_machines(Origin(project.root / "machines"))
    return machines or project.machines
