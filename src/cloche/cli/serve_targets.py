"""`cloche serve targets` and `target`: the machines that packages are built for."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from cloche.cli.options import Options, say
from cloche.cli.serve_options import JSON, STATE, check_extra, opened_database
from cloche.cli.usage import Group
from cloche.display.text import count, one_line
from cloche.targets.levels import Level

if TYPE_CHECKING:
    from cloche.service.database import Database
    from cloche.service.values import Target


@click.command(
    epilog="""\b
Examples:
  cloche serve targets
  cloche serve targets --json
"""
)
@STATE
@JSON
@click.pass_obj
def targets(options: Options, /, directory: Path | None, as_json: bool) -> None:
    """List enrolled targets."""
    check_extra()
    from cloche.service.views import target_view

    with opened_database(options, directory) as database:
        found = [
            target_view(
                each,
                packages=len(database.indexed(each)),
                proven=bool(database.seen(each.digest, each.level)),
                owner=each.owner,
                faults=database.faults(each.id),
            )
            for each in database.targets()
        ]
        names = {each.id: each.name for each in database.tokens()}
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for each in found:
        line = f"{each.id}  {each.level}  {each.arch}  {each.packages} packages  {each.name}"
        if each.owner:
            line += f"  enrolled with {names.get(each.owner, '')} ({each.owner})"
        click.echo(one_line("; ".join((line, *each.faults))))


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche serve target change 1f2e3d4c5b6a --level 2
  cloche serve target remove 1f2e3d4c5b6a --pretend
""",
)
def target() -> None:
    """Change or remove a target, also while the service runs."""


def _target(database: Database, id: str) -> Target:
    from cloche.service.errors import unknown

    found = database.target(id)
    if found is None:
        raise unknown("target", id, "targets")
    return found


@target.command(
    epilog="""\b
Examples:
  cloche serve target change 1f2e3d4c5b6a --level 3b
  cloche serve target change 1f2e3d4c5b6a --name laptop
"""
)
@click.argument("id")
@click.option("--level", type=click.Choice([str(each) for each in Level]), help="Its level.")
@click.option("--name", help="Its name.")
@STATE
@click.pass_obj
def change(
    options: Options, /, id: str, level: str | None, name: str | None, directory: Path | None
) -> None:
    """Give a target another level or name."""
    from cloche.service.errors import unknown

    if level is None and name is None:
        raise click.UsageError("nothing is to change: give --level or --name")
    with opened_database(options, directory) as database:
        wanted = None if level is None else Level(level)
        if database.change_target(id, time.time(), name=name, level=wanted) is None:
            raise unknown("target", id, "targets")


@target.command(
    epilog="""\b
Examples:
  cloche serve target remove 1f2e3d4c5b6a --pretend
"""
)
@click.argument("id")
@click.option("-p", "--pretend", "--dry-run", is_flag=True, help="Only show what would be removed.")
@STATE
@JSON
@click.pass_obj
def remove(
    options: Options, /, id: str, pretend: bool, directory: Path | None, as_json: bool
) -> None:
    """Remove a target and its tokens, and stop what is built for it alone.

    Its packages go when nobody used them for a while, see `cloche serve prune`.
    """
    with opened_database(options, directory) as database:
        found = _target(database, id)
        tokens = [each.id for each in database.tokens() if each.target == id]
        waiting = database.builds(target=id, states=("queued", "running"))
        builds = [each.id for each in waiting if each.targets == (id,)]
        if not pretend:
            database.remove_target(id)
    if as_json:
        data = {"id": id, "name": found.name, "tokens": tokens, "builds": builds}
        click.echo(json.dumps({**data, "removed": not pretend}))
        return
    would = "would be removed" if pretend else "removed"
    what = f"{found.name} ({id}), {count(len(tokens), 'token')}"
    say(f"{what} and {count(len(builds), 'build')} {would}")
