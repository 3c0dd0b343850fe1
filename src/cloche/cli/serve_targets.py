"""`cloche serve targets`: the machines that packages are built for."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from cloche.cli.options import Options
from cloche.cli.serve_options import JSON, STATE, opened_database
from cloche.display.text import one_line


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
    from cloche.service.views import target_view

    with opened_database(options, directory) as database:
        found = [
            target_view(
                each,
                packages=len(database.indexed(each)),
                proven=bool(database.seen(each.digest, each.level)),
            )
            for each in database.targets()
        ]
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    for each in found:
        click.echo(
            one_line(f"{each.id}  {each.level}  {each.arch}  {each.packages} packages  {each.name}")
        )
