"""`cloche history`."""

from __future__ import annotations

import json
import time
from calendar import timegm
from dataclasses import asdict
from pathlib import Path

import click

from cloche.build import logs
from cloche.build.errors import UnknownPackageError
from cloche.build.history import Run, runs_of
from cloche.cli.workplace import Options, opened_store
from cloche.display.text import seconds
from cloche.plan.names import matching, nearest
from cloche.store import Store

WORDS = {
    "first": "new layer",
    "same": "the same layer as before",
    "different": "another layer than before",
    "failed": "failed",
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

    A failed build is shown for as long as its log is kept.
    """
    with opened_store(options) as store:
        names = store.action_names("build")
        logged = logs.logged_packages(store)
        runs = [
            *(
                run
                for name in matching(atom, names)
                for run in runs_of(store.actions_of("build", name), store.actions_of("merge", name))
            ),
            *(run for cpv in matching(atom, logged) for run in _failed(store, cpv, names)),
        ]
    if not runs:
        raise UnknownPackageError(atom, nearest(atom, {*names, *logged}))
    runs.sort(key=lambda run: run.time)
    click.echo(json.dumps([asdict(run) for run in runs], indent=2) if as_json else _table(runs))


def _failed(store: Store, cpv: str, names: tuple[str, ...]) -> list[Run]:
    """Builds of which there is a log that was neither put away nor recorded, and is not written."""
    recorded = {
        action.log
        for name in names
        if name.split("::")[0] == cpv
        for action in store.actions_of("build", name)
    }
    found = []
    for path in logs.logs_of(store, cpv):
        name = str(path.relative_to(store.logs))
        if path.suffix == ".gz" or not path.stem.endswith("-build") or name in recorded:
            continue
        with path.open("rb") as file:
            if not logs.is_written(file):
                ended = path.stat().st_mtime
                took = ended - _began(path)
                found.append(Run(cpv, ended, "failed", build=max(0.0, took), log=name))
    return found


def _began(path: Path) -> float:
    """When a log was begun, out of its name."""
    return timegm(time.strptime(path.name[:15], "%Y%m%d-%H%M%S"))


def _table(runs: list[Run]) -> str:
    lines = []
    for run in runs:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.time))
        took = seconds((run.build or 0.0) + (run.merge or 0.0))
        lines.append(f"{when}  {took:>12}  {run.package.split('::')[0]}  {WORDS[run.result]}")
        if run.use:
            lines.append(f'{"":32}USE="{" ".join(run.use)}"')
        if run.changed:
            lines.append(f"{'':32}changed: {', '.join(run.changed)}")
    return "\n".join(lines)
