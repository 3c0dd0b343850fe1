"""`cloche history`."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import click

from cloche.build.errors import UnknownPackageError
from cloche.build.history import Run, names_in, runs_in
from cloche.cli.workplace import Options, opened_store
from cloche.display.text import seconds
from cloche.plan.names import matching, nearest

WORDS = {
    "first": "new layer",
    "same": "the same layer as before",
    "different": "another layer than before",
    "lost": "its layer is gone",
}


@click.command(
    epilog="""\b
Examples:
  cloche history jq
  cloche history dev-libs/oniguruma --json | jq '.[].build'
"""
)
@click.argument("atom")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def history(options: Options, atom: str, as_json: bool) -> None:
    """Show when the package ATOM was built, how long it took, with what USE, and what came of it.

    A step that failed is shown for as long as `cloche store gc` keeps its log.
    """
    with opened_store(options) as store:
        names = names_in(store)
        runs = [run for name in matching(atom, names) for run in runs_in(store, name)]
    if not runs:
        raise UnknownPackageError(atom, nearest(atom, names))
    runs.sort(key=lambda run: run.time)
    click.echo(json.dumps([asdict(run) for run in runs], indent=2) if as_json else _table(runs))


def _table(runs: list[Run]) -> str:
    lines = []
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.time))
        result = f"{run.failed} failed" if run.failed else WORDS[run.result]
        name = run.package.split("::")[0]
        lines.append(f"{when}  {seconds(run.seconds):>12}  {name}  {result}")
        if run.use:
            lines.append(f'{"":32}USE="{" ".join(run.use)}"')
        if run.changed:
            lines.append(f"{'':32}changed: {', '.join(run.changed)}")
    return "\n".join(lines)
