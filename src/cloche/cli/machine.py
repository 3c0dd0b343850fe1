"""`cloche machine`: the machines of a project, what they hold, how they differ."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import click

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, check_machine, opened_session, opened_store, say
from cloche.cli.usage import Group
from cloche.config.machine import Machine
from cloche.config.newmachine import new_machine
from cloche.config.project import Project, load_project
from cloche.display.text import count, one_line, size
from cloche.errors import ClocheError
from cloche.layers import Comparison
from cloche.output.end import end_digest
from cloche.output.holdings import (
    Difference,
    Holding,
    differences,
    differing_before,
    ended_badly,
    files_of,
    finish_files,
    finished_builds,
    holding,
    system_differences,
)
from cloche.output.remembered import finished_machine
from cloche.output.secrets import all_secrets
from cloche.output.system import System, SystemChange, system_of
from cloche.session.building import Preview
from cloche.session.choices import Choices
from cloche.session.session import Session
from cloche.store import Store

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_BUILD = re.compile(r"(.+)@(\d{1,18})", re.ASCII)
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


@dataclass(frozen=True, slots=True)
class Summary:
    """A machine in one line. ``built`` is in seconds since the epoch, ``size`` in bytes.

    ``state`` is "current" if a build would change nothing, "behind", "not built", "failed" if that
    is how the last build ended, or "unknown" with the reason in ``why``.
    """

    name: str
    seed: str
    profile: str
    root: str
    state: str
    packages: int | None = None
    size: int | None = None
    built: float | None = None
    build: int | None = None
    why: str = ""


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
        found = [_summary(session, name) for name in project.machines]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    for line in table([_HEADING, *(_row(each) for each in found)]):
        click.echo(line)
    for each in found:
        if each.why:
            say(f"{each.name}: {each.why}")


def _summary(session: Session, name: str) -> Summary:
    try:
        declared = session.project.machine(name)
    except ClocheError as error:
        return Summary(name, "-", "-", "-", "unknown", why=one_line(str(error)))
    profile = f"{declared.profile.repo}:{declared.profile.path}"
    root = "own" if declared.own_root else "seed"
    last = ended_badly(session.store, session.project.place, name)
    state = "failed" if last and last.result == "failed" else "not built"
    summary = Summary(name, declared.seed, profile, root, state)
    try:
        held = holding(session.store, session.project.place, name)
    except ClocheError:
        return summary
    state, why = ("failed", "") if state == "failed" else _state(session, name, held)
    return replace(
        summary,
        state=state,
        packages=len(held.packages),
        size=held.size,
        built=held.run.time + held.run.seconds,
        build=held.run.number,
        why=why,
    )


def _state(session: Session, name: str, held: Holding) -> tuple[str, str]:
    """Whether a build would change something, and why that is not known."""
    try:
        seen = session.plan(name, Choices(offline=True))
    except ClocheError as error:
        return "unknown", one_line(str(error))
    by_id = seen.builder.plan.graph.by_id()
    members = [by_id[id] for id in seen.builder.plan.members]
    planned, there = (
        {(each.cp, each.slot, each.version) for each in packages}
        for packages in (members, (*held.packages.values(), *held.removed))
    )
    same = planned == there
    reused = all(each.fate == "reuse" for each in seen.fates.values())
    ends = same and reused and _ends_alike(session, name, seen)
    return ("current" if ends else "behind"), ""


def _ends_alike(session: Session, name: str, seen: Preview) -> bool:
    """Whether a build would give what the last one gave of the same packages."""
    declared = session.project.machine(name)
    pin = finished_machine(session.store, declared)
    before = pin.data.get("end") if pin else None  # builds of older versions have none
    return before is None or before == end_digest(declared, seen.builder.context.inputs)


def _row(each: Summary) -> tuple[str, ...]:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(each.built)) if each.built else "-"
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
  cloche machine show web
  cloche machine show web@3 --json
"""
)
@click.argument("name", metavar="MACHINE[@BUILD]", shell_complete=complete_machine)
@as_json_
@click.pass_obj
def show(options: Options, name: str, as_json: bool) -> None:
    """Show how MACHINE is declared and what its last build, or the build BUILD, holds."""
    project = load_project(options.directory)
    asked, number = _split(name)
    with opened_store(options, project) as store:
        declared = _declared(project, name)
        there = number is not None or finished_builds(store, project.place, asked)
        held = _held(store, project, name) if there else None
        last = ended_badly(store, project.place, asked) if number is None else None
    if as_json:
        packages = [asdict(each) for each in held.packages.values()] if held else []
        run = asdict(held.run) if held else None
        unfinished = asdict(last) if last else None
        data = {**declared, "build": run, "last": unfinished, "packages": packages}
        click.echo(json.dumps(data, indent=2))
        return
    for line in _told_of(declared):
        click.echo(one_line(line))
    if last is not None:
        ended = "failed" if last.result == "failed" else "did not come to its end"
        click.echo(f"{'last':<10}build {last.number} {ended}, see `cloche report {asked}`")
    if held is None:
        click.echo(f"{'build':<10}not built yet")
        return
    click.echo(f"{'build':<10}{held.run.number}, {count(len(held.packages), 'package')}")
    for each in held.packages.values():
        use = f'  USE="{" ".join(each.use)}"' if each.use else ""
        how_large = "-" if each.size is None else size(each.size)
        click.echo(f"  {how_large:>10}  {each.name}-{each.version}::{each.repo}{use}")


def _told_of(declared: Mapping[str, Any]) -> Iterator[str]:
    """Lines about what a machine's file says."""
    for key, value in declared.items():
        if key == "secrets":
            for each in value:
                yield f"{'secret':<10}{each['what']} from {each['source']}"
        elif key == "system":
            yield from _told_of_system(value)
        elif value and key != "finish":
            yield f"{key:<10}{value if isinstance(value, str) else ' '.join(value)}"


def _told_of_system(system: System) -> Iterator[str]:
    """Lines about sections; of what there may be hundreds of, the number alone."""
    for section, values in system.items():
        options = [name for name in values if name.startswith("CONFIG_")]
        many = options if section == "kernel" else [*values] if section == "files" else []
        for name in (each for each in values if each not in many):
            yield f"{section:<9} {name}{f'  {values[name]}' if values[name] else ''}"
        if many:
            kind = "option" if section == "kernel" else "file"
            yield f"{section:<9} {count(len(many), kind)}"


def _declared(project: Project, name: str) -> dict[str, Any]:
    asked, _ = _split(name)
    check_machine(asked, project.machines, project.root / "machines")
    found = project.machine(asked)
    return {
        "machine": asked,
        "file": str(found.file.relative_to(project.root)),
        "seed": found.seed,
        "root": "own" if found.own_root else "seed",
        "profile": f"{found.profile.repo}:{found.profile.path}",
        "portage": [each.name for each in found.fragments],
        "targets": list(found.targets),
        "finish": list(dict.fromkeys(step.kind for step in found.finish)),
        "system": {
            section: values
            for section, values in system_of(found).items()
            if section not in ("machine", "secrets")
        },
        "secrets": [{"what": each.title, "source": each.source} for each in all_secrets(found)],
    }


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
    return f"{_SIGNS[each.how]} {each.section}: {each.name}{f'  {value}' if value else ''}"


def _pair(
    store: Store, project: Project, first: str, second: str | None
) -> tuple[Holding, Holding]:
    if second is not None:
        return _held(store, project, first), _held(store, project, second)
    new = _held(store, project, first)
    return differing_before(store, project.place, new), new


def _held(store: Store, project: Project, name: str) -> Holding:
    """What a machine holds, or a build of it, as MACHINE@BUILD."""
    asked, number = _split(name)
    check_machine(asked, project.machines, project.root / "machines")
    return holding(store, project.place, asked, number)


def _split(name: str) -> tuple[str, int | None]:
    found = _BUILD.fullmatch(name)
    if name.endswith("@"):
        todo = f"write “{name}3”, or “{name[:-1]}” for the last build"
        raise ClocheError(f"“{name}”: the number of the build is missing", todo=todo)
    return (found[1], int(found[2])) if found else (name, None)


def line_of(each: Difference) -> str:
    """How one package differs, in a line."""
    grown = "" if not each.size else f"  {'+' if each.size > 0 else '-'}{size(abs(each.size))}"
    use = f"  USE {' '.join(each.use)}" if each.use else ""
    return f"{_SIGNS[each.how]} {each.name} {each.versions}{use}{grown}"


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
