"""`cloche machine`: the machines of a project, what they hold, how they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

import click

from cloche.cli.complete import complete_machine
from cloche.cli.machine_show import show
from cloche.cli.machine_state import Summary, held_by, summary_of
from cloche.cli.options import Options, opened_session, opened_store, say
from cloche.cli.usage import Group
from cloche.config.machine import Machine
from cloche.config.newmachine import new_machine
from cloche.config.project import Project, load_project
from cloche.display.text import SIGNS, count, date, size
from cloche.layers import Comparison
from cloche.output.holdings import (
    Difference,
    Holding,
    differences,
    differing_before,
    files_of,
    finish_files,
    system_differences,
)
from cloche.output.system import SystemChange
from cloche.store import Store

as_json_ = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche machine list
  cloche machine show web
  cloche machine diff web kiosk
  cloche machine new kiosk2 --like kiosk
""",
)
def machine() -> None:
    """List, show and compare the machines of a project, or begin a new one."""


machine.add_command(show)


@machine.command(
    "list",
    epilog="""\b
Examples:
  cloche machine list
  cloche machine list --json | jq -r '.[] | select(.state=="behind") | .name'
""",
)
@as_json_
@click.pass_obj
def list_(options: Options, as_json: bool) -> None:
    """List the machines: seed, profile, packages, size, when built, and whether a build would
    change something, or the last one failed.

    That is looked up without fetching anything: sync repositories first to compare with what is
    published (`cloche repo sync`).
    """
    project = load_project(options.directory)
    with opened_session(options, project) as session:
        found = [summary_of(session, name) for name in project.machines]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for line in table([_HEADING, *(_row(each) for each in found)]):
        click.echo(line)
    for each in found:
        if each.why:
            say(f"{each.name}: {each.why}")


def _row(each: Summary) -> tuple[str, ...]:
    when = date(each.built) if each.built else "-"
    return (
        each.name,
        each.seed,
        each.profile,
        "-" if each.packages is None else str(each.packages),
        "-" if each.size is None else size(each.size),
        when,
        each.state,
    )


_HEADING = ("machine", "seed", "profile", "packages", "size", "built", "state")


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table, its heading first."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


@machine.command(
    epilog="""\b
Examples:
  cloche machine diff web kiosk
  cloche machine diff web            the last build against the last different one
  cloche machine diff web@3 web@5 --files
"""
)
@click.argument("first", metavar="MACHINE[@BUILD]", shell_complete=complete_machine)
@click.argument(
    "second", metavar="[MACHINE[@BUILD]]", required=False, shell_complete=complete_machine
)
@click.option("--files", is_flag=True, help="List files, too.")
@as_json_
@click.pass_obj
def diff(options: Options, first: str, second: str | None, files: bool, as_json: bool) -> None:
    """Compare two machines, or two builds of one: packages with versions, USE and sizes, and what
    their files say besides: users, services, files, names, kernel options and the rest.

    With --files it also says which files of packages, and files that the finish wrote, are new,
    gone and changed, if their layers are in the store. Of builds there are as many as `[build]
    records` keeps.
    """
    project = load_project(options.directory)
    with opened_store(options, project) as store:
        old, new = _pair(store, project, first, second)
        found, besides = differences(old, new), system_differences(old, new)
        listed = {each.name: files_of(store, each) for each in found} if files else {}
        of_finish = finish_files(store, old, new) if files else None
    if as_json:
        rows = [{**asdict(each), "files": _files(listed.get(each.name))} for each in found]
        system = None if besides is None else [asdict(each) for each in besides]
        data = {"packages": rows, "system": system, "finish": _files(of_finish)}
        click.echo(json.dumps(data, indent=2))
        return
    for each in found:
        click.echo(line_of(each))
        if files:
            _show_files(listed[each.name])
    for line in map(setting_line, besides or ()):
        click.echo(line)
    if files and besides is not None and (of_finish is None or not of_finish.equal):
        click.echo("~ files that the finish wrote")
        _show_files(of_finish)
    names = " and ".join(f"{each.machine}@{each.run.number}" for each in (old, new))
    say(f"{names}: {_told(found, besides)}")


def _show_files(comparison: Comparison | None) -> None:
    if comparison is None:
        click.echo("    its files are not in the store any more")
    elif text := comparison.text():
        click.echo("\n".join(f"    {line}" for line in text.splitlines()))


def _told(found: Sequence[Difference], besides: Sequence[SystemChange] | None) -> str:
    """How many differences there are, for people."""
    told = [count(len(found), "package differs", "packages differ")] if found else []
    if besides:
        told.append(count(len(besides), "setting differs", "settings differ"))
    if besides is None:
        told.append(
            "settings are not compared, as a build of an older version has no record of them"
        )
    return ", ".join(told) or "no differences"


def setting_line(each: SystemChange) -> str:
    """How one setting differs, in a line."""
    values = [value for value in (each.before, each.after) if value]
    arrow = " → ".join(value or "-" for value in (each.before, each.after) if value is not None)
    value = arrow if each.how == "changed" else "".join(values)
    return f"{SIGNS[each.how]} {each.section}: {each.name}{f'  {value}' if value else ''}"


def _pair(
    store: Store, project: Project, first: str, second: str | None
) -> tuple[Holding, Holding]:
    if second is not None:
        return held_by(store, project, first), held_by(store, project, second)
    new = held_by(store, project, first)
    return differing_before(store, project.place, new), new


def line_of(each: Difference) -> str:
    """How one package differs, in a line."""
    grown = "" if not each.size else f"  {'+' if each.size > 0 else '-'}{size(abs(each.size))}"
    use = f"  USE {' '.join(each.use)}" if each.use else ""
    return f"{SIGNS[each.how]} {each.name} {each.versions}{use}{grown}"


def _files(comparison: Comparison | None) -> dict[str, list[str]] | None:
    if comparison is None:
        return None
    return {
        "removed": list(comparison.only_a),
        "added": list(comparison.only_b),
        "changed": sorted({each.path for each in comparison.differ}),
    }


@machine.command(
    epilog="""\b
Example:
  cloche machine new kiosk2 --like kiosk
"""
)
@click.argument("name")
@click.option(
    "--like", required=True, metavar="MACHINE", shell_complete=complete_machine,
    help="The machine whose file is copied.",
)  # fmt: skip
@click.pass_obj
def new(options: Options, name: str, like: str) -> None:
    """Begin the machine NAME with a copy of another one's file."""
    project = load_project(options.directory)
    click.echo(new_machine(project, name, like).relative_to(project.root))
    tell_hostname(project.machine(name), like)
    say(f"edit it, then `cloche plan {name}`")


def tell_hostname(machine: Machine, like: str) -> None:
    """Say that a new machine is called as the one that it is a copy of, if it is."""
    for step in machine.finish:
        if step.kind == "hostname":
            where = step.origin
            say(f"{where.file.name}:{where.line}: the hostname is “{step.words[0]}”, as in {like}")
