"""`cloche log`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from cloche.cli.options import Options, opened_store, project_or_none, unknown_word
from cloche.config.project import Project
from cloche.display.text import visible
from cloche.errors import ClocheError
from cloche.plan.names import matching
from cloche.records import logs
from cloche.store import Store

STEPS = ("fetch", "build", "merge")


@click.command(
    epilog="""\b
Examples:
  cloche log jq
  cloche log jq --phase compile
  cloche log app-misc/jq --step merge
  cloche log jq --follow
  cloche log jq | less
  zless "$(cloche log jq --path)"
"""
)
@click.argument("atom")
@click.option("--step", type=click.Choice(STEPS), help="Show only the log of this step.")
@click.option("--phase", help="Show only this phase, such as compile.")
@click.option("-f", "--follow", is_flag=True, help="Follow the log until the step ends.")
@click.option(
    "--raw", is_flag=True, help="Print every byte unchanged, including control characters."
)
@click.option(
    "--path", "only_path", is_flag=True, help="Print the path of the log file instead of its text."
)
@click.pass_obj
def log(
    options: Options,
    atom: str,
    step: str | None,
    phase: str | None,
    follow: bool,
    raw: bool,
    only_path: bool,
) -> None:
    """Show the newest log of the package ATOM.

    Without --step, this is the log of the step that is running or failed last, if there was no
    success since; otherwise of the newest build, not of the merge after it.

    The text is shown uncompressed, even if the file is compressed (its name ends in .gz). Control
    characters, including colours, are shown as escapes such as \\x1b, so that a log cannot control
    your terminal; --raw leaves them as they are.
    """
    with opened_store(options) as store:
        newest = _newest(store, atom, step, project_or_none(options))
    if only_path:
        click.echo(str(logs.found_log(newest)))
        return
    if phase is not None and not follow:
        known = logs.phases_in(logs.log_lines(newest))
        if phase not in known:
            raise ClocheError(
                f"the log has no phase “{phase}”",
                todo=f"it has {', '.join(known)}" if known else "leave --phase out",
            )
    errors = "surrogateescape" if raw else "replace"
    read = logs.follow if follow else logs.log_lines
    lines: Iterable[str] = read(newest, errors=errors)
    for line in lines if phase is None else logs.only_phase(lines, phase):
        click.echo(line.encode(errors=errors) if raw else visible(line), nl=False)


def _newest(store: Store, atom: str, step: str | None, project: Project | None) -> Path:
    """The newest log; without a wanted step that of a build, unless a newer log is of a step that
    did not succeed: such a log is not compressed.
    """
    known = logs.seen_from(logs.logged_packages(store), project.place if project else None)
    names = matching(atom, known)
    # A machine's own log of that name is meant only if no package has it.
    names = tuple(n for n in names if not n.startswith((logs.MACHINES, "repository/"))) or names
    names = (atom,) if atom in known else names  # and not those with numbers after it
    for name in (each for each in names if len(known[each]) > 1):
        what = f"{name}: machines of {len(known[name])} projects have logs of this name"
        raise ClocheError(what, todo="run it in the project's directory")
    found = [path for name in names for each in known[name] for path in logs.logs_of(store, each)]
    wanted = [path for path in found if logs.step_name(path).endswith(f"-{step or 'build'}")]
    newest = max(found, key=logs.step_name, default=None)
    if newest is not None and step is None and (not wanted or newest.suffix != ".gz"):
        wanted = [newest]
    machine = atom.removeprefix(logs.MACHINES)
    if not found and project is not None and machine in project.machines:
        todo = f"`cloche build {machine}` makes them, of what is not known already"
        raise ClocheError(f"machine {machine} has no logs", todo=todo)
    if not wanted:
        raise unknown_word(atom, known, project)
    return max(wanted, key=logs.step_name)
