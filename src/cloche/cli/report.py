"""`cloche report`."""

from __future__ import annotations

from pathlib import Path

import click

from cloche.cli.complete import complete_machine
from cloche.cli.workplace import Options, opened_store
from cloche.config.project import load_project
from cloche.display import report as html
from cloche.display.timeline import timeline
from cloche.output.recall import recall


@click.command(
    epilog="""\b
Examples:
  cloche report workbench
  cloche report workbench -o /tmp/report.html
"""
)
@click.argument("machine", shell_complete=complete_machine)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file [PROJECT/out/MACHINE/report.html].",
)
@click.pass_obj
def report(options: Options, machine: str, output: Path | None) -> None:
    """Write one HTML file about the last build of MACHINE, whether it succeeded or not.

    It holds everything itself (time line, critical path, sizes, logs, graph) and loads nothing.
    """
    project = load_project(options.directory)
    target = output or project.root / "out" / machine / "report.html"
    with opened_store(options, project) as store:
        events, known = recall(store, project.place, machine)
    about = {
        name: html.About(
            use=each.use,
            size=each.size,
            member=each.member,
            logs=tuple(html.LogText(log.step, log.text, log.left_out) for log in each.logs),
        )
        for name, each in known.items()
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(html.page(timeline(events), about), encoding="utf-8")
    click.echo(str(target))
