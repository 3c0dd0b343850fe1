"""`cloche history`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_store, project_or_none, unknown_word
from cloche.display.text import date, seconds
from cloche.plan.names import bare, matching
from cloche.records.builds import not_built, recorded_events, records
from cloche.records.history import MachineRun, Run, machine_run, names_in, runs_in

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
  cloche history workbench
  cloche history dev-libs/oniguruma --json | jq '.[].build'
"""
)
@click.argument("atom", metavar="ATOM|MACHINE", shell_complete=complete_machine)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def history(options: Options, atom: str, as_json: bool) -> None:
    """Show when and how ATOM was built, or the builds of MACHINE.

    For a package, this shows the time, the duration, the USE flags and the result of each build;
    for a machine of the project, its builds with the numbers that `cloche report --build` takes.
    Give a package of the same name with its category.

    Failed steps are shown until `cloche store gc` removes their logs.
    """
    project = project_or_none(options)
    if project is not None and atom in project.machines:
        with opened_store(options, project) as store:
            builds = [
                machine_run(record.number, recorded_events(store, record))
                for record in records(store, project.place, atom)
            ]
        if not builds:
            raise not_built(f"machine {atom}", f"cloche build {atom}")
        click.echo(json.dumps([asdict(b) for b in builds], indent=2) if as_json else _list(builds))
        return
    with opened_store(options) as store:
        names = names_in(store)
        runs = [run for name in matching(atom, names) for run in runs_in(store, name)]
    if not runs:
        raise unknown_word(atom, names, project)
    runs.sort(key=lambda run: run.time)
    click.echo(json.dumps([asdict(run) for run in runs], indent=2) if as_json else _table(runs))


def _table(runs: list[Run]) -> str:
    lines = []
    for run in runs:
        when = date(run.time)
        result = f"{run.failed} failed" if run.failed else WORDS[run.result]
        name = bare(run.package)
        lines.append(f"{when}  {seconds(run.seconds):>12}  {name}  {result}")
        if run.use:
            lines.append(f'{"":32}USE="{" ".join(run.use)}"')
        if run.changed:
            lines.append(f"{'':32}changed: {', '.join(run.changed)}")
    return "\n".join(lines)


def _list(builds: list[MachineRun]) -> str:
    return "\n".join(
        f"{b.number:>4}  {date(b.time)}  "
        f"{seconds(b.seconds):>12}  {b.built} built, {b.reused} reused, {b.failed} failed"
        + (f", {b.skipped} skipped" if b.skipped else "")
        + f"  {b.result}"
        + (", a part of the machine" if b.partial else "")
        for b in builds
    )
