"""`cloche log`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import click

from cloche.build import logs
from cloche.build.errors import UnknownPackageError, UnknownPhaseError
from cloche.cli.workplace import Options, opened_store
from cloche.display.text import visible
from cloche.plan.names import matching, nearest
from cloche.store import Store

STEPS = ("fetch", "build", "merge")


@click.command(
    epilog="""\b
Examples:
  cloche log jq
  cloche log jq --phase compile
  cloche log app-misc/jq --step merge
  cloche log jq --follow
  zless "$(cloche log jq --path)"
"""
)
@click.argument("atom")
@click.option("--step", type=click.Choice(STEPS), help="Only this step's.")
@click.option("--phase", help="Only this phase's part, such as compile.")
@click.option("-f", "--follow", is_flag=True, help="Go on until the step ends.")
@click.option("--path", "only_path", is_flag=True, help="Print the file's path, not its text.")
@click.pass_obj
def log(
    options: Options,
    atom: str,
    step: str | None,
    phase: str | None,
    follow: bool,
    only_path: bool,
) -> None:
    """Show the newest log of the package ATOM.

    The file may be compressed (its name ends with .gz then); the text shown never is.
    """
    with opened_store(options) as store:
        newest = _newest(store, atom, step)
    if only_path:
        click.echo(str(logs.found_log(newest)))
        return
    if phase is not None and not follow and phase not in logs.phases_in(logs.log_lines(newest)):
        raise UnknownPhaseError(phase, logs.phases_in(logs.log_lines(newest)))
    lines: Iterable[str] = logs.follow(newest) if follow else logs.log_lines(newest)
    for line in lines if phase is None else logs.only_phase(lines, phase):
        click.echo(visible(line) if sys.stdout.isatty() else line, nl=False)


def _newest(store: Store, atom: str, step: str | None) -> Path:
    """The newest log; without a wanted step, a build's is what people mean."""
    known = logs.logged_packages(store)
    found = [path for cpv in matching(atom, known) for path in logs.logs_of(store, cpv)]
    wanted = [path for path in found if logs.step_name(path).endswith(f"-{step or 'build'}")]
    if not wanted and step is None:
        wanted = found
    if not wanted:
        raise UnknownPackageError(atom, nearest(atom, known))
    return max(wanted, key=logs.step_name)
