"""`cloche report`."""

from __future__ import annotations

from pathlib import Path

import click

from cloche.cli.complete import complete_build, complete_machine
from cloche.cli.options import Options, check_machine, opened_store
from cloche.config.project import load_project
from cloche.display import report as html
from cloche.display.timeline import timeline
from cloche.errors import unwritable
from cloche.output.recall import recall
from cloche.records.builds import records, wanted_record

LAST_BUILT = "last-built"


def _checked(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and value != LAST_BUILT and not (value.isascii() and value.isdigit()):
        raise click.BadParameter(f"give a number, or {LAST_BUILT}")
    return value


@click.command(
    epilog="""\b
Examples:
  cloche report workbench
  cloche report workbench --build last-built
  cloche report workbench -o /tmp/report.html
"""
)
@click.argument("machine", shell_complete=complete_machine)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write [PROJECT/out/MACHINE/report.html].",
)
@click.option(
    "--build",
    metavar="N|last-built",
    shell_complete=complete_build,
    callback=_checked,
    help="Number of the build (see `cloche history MACHINE`), or the last one that built something "
    "[the last one].",
)
@click.pass_obj
def report(options: Options, machine: str, output: Path | None, build: str | None) -> None:
    """Write an HTML report of a build of MACHINE.

    The build may have failed. The report is a single file with the time line, the critical path,
    sizes, logs and graph. It loads nothing from elsewhere.
    """
    project = load_project(options.directory)
    target = output or project.root / "out" / machine / "report.html"
    with opened_store(options, project) as store:
        number = None if build in (None, LAST_BUILT) else int(build)
        if not records(store, project.place, machine):
            check_machine(machine, project.machines, project.root / "machines")
        record = wanted_record(store, project.place, machine, number, built=build == LAST_BUILT)
        events, known = recall(store, record)
    about = {
        name: html.About(
            use=each.use,
            size=each.size,
            member=each.member,
            logs=tuple(html.LogText(log.step, log.text, log.left_out) for log in each.logs),
        )
        for name, each in known.items()
    }
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html.page(timeline(events), about), encoding="utf-8")
    except OSError as error:
        raise unwritable(target, error, "choose a file that you may write with --output") from error
    click.echo(str(target))
