"""`cloche plan`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from cloche.cli.build import common
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say
from cloche.config.complaints import Complaint
from cloche.config.project import load_project
from cloche.display.plantable import Row, as_table
from cloche.display.text import one_line
from cloche.display.theme import theme_of
from cloche.plan.changes import changed_since, gone
from cloche.plan.depgraph import Package
from cloche.session.building import Preview
from cloche.session.choices import Choices


@click.command(
    epilog="""\b
Examples:
  cloche plan workbench
  cloche plan workbench --strict-config
  cloche plan workbench --autounmask-write base
  cloche plan workbench --json | jq -r '.packages[] | select(.fate=="build") | .cpv'
  cloche plan workbench --json | jq -r '.packages[] | select(.status=="U") | .cpv'
"""
)
@click.argument("machine", shell_complete=complete_machine)
@common
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(
    options: Options,
    machine: str,
    choices: Choices,
    as_json: bool,
) -> None:
    """Show what a build of MACHINE would do.

    The table reads like that of `emerge -pv` and compares with the machine's last build: N new, S
    new slot, R rebuild, U update, D downgrade. USE flags that changed are marked with *, added or
    removed ones with %; flags in brackets are fixed by the profile. The first word is the action:
    build; fetch, for a binary package; merge; reuse; or perhaps, if it depends on the result of a
    build.
    """
    project = load_project(options.directory)
    with opened_session(options, project, machine) as session:
        seen = session.plan(machine, choices)
    if seen.refused is not None:
        say(f"warning: {one_line(str(seen.refused))}")
    rows = _rows(seen)
    left = gone(seen.builder.plan.graph, seen.before)
    if as_json:
        data = _as_data(seen, rows, left)
        data["warnings"] = _warnings(seen.warnings)
        # json itself takes ten times as long.
        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2))
    else:
        for line in as_table(rows, left, theme_of(sys.stdout)):
            click.echo(line)


def _rows(seen: Preview) -> list[Row]:
    """The rows of the table, in merge order."""
    graph, fates = seen.builder.plan.graph, seen.fates
    again = frozenset(name for name, each in fates.items() if each.fate != "reuse")
    found = changed_since(graph, seen.before, again)
    return [
        Row(
            fate=fates[package.id].fate,
            cpv=package.cpv,
            slot=package.slot
            if package.slot == package.sub_slot
            else f"{package.slot}/{package.sub_slot}",
            repo=package.repo,
            change=found[package.id],
            fetch=seen.fetch.get(package.id, 0),
            marks=_marks(package, member=package.id in seen.builder.plan.members),
        )
        for package in graph.packages
    ]


def _marks(package: Package, *, member: bool) -> tuple[str, ...]:
    if package.broot:
        marks = ["over the seed, for building"]
    else:
        marks = [] if member else ["for building only"]
    marks += [f"binary, {package.binary.host}"] if package.binary else []
    marks += ["live"] if "live" in package.properties else []
    return tuple(marks)


def _warnings(complaints: tuple[Complaint, ...]) -> list[dict[str, Any]]:
    return [
        {
            "file": _unicode(str(each.origin.file)) if each.origin else None,
            "line": each.origin.line if each.origin else None,
            "text": _unicode(each.text),
        }
        for each in complaints
    ]


def _unicode(text: str) -> str:
    """A text in which what is not UTF-8 in a file's name is a "?"."""
    return text.encode(errors="replace").decode()


def _as_data(seen: Preview, rows: Sequence[Row], left: Sequence[str]) -> dict[str, Any]:
    plan_, fates = seen.builder.plan, seen.fates
    own_root = seen.builder.context.inputs.own_root
    return {
        "machine": seen.builder.context.inputs.machine,
        "fetch": sum(row.fetch for row in rows),
        "gone": left,
        "use_expand_hidden": plan_.graph.use_expand_hidden,
        "packages": [
            {
                "id": package.id,
                "cpv": package.cpv,
                "slot": f"{package.slot}/{package.sub_slot}",
                "repo": package.repo,
                "use": package.use,
                "status": row.change.status,
                "before": row.change.before,
                "flags": row.change.flags,
                "fetch": row.fetch,
                "requested": package.requested,
                "root": "seed" if package.broot or not own_root else "own",
                "member": package.id in plan_.members,
                "live": "live" in package.properties,
                "fate": fates[package.id].fate,
                "layer": fates[package.id].layer,
                "binrepo": package.binary.host if package.binary else None,
                "visible": {
                    "build": plan_.visible[package.id].build,
                    "merge": plan_.visible[package.id].merge,
                },
                "edges": package.edges,
            }
            for package, row in zip(plan_.packages, rows, strict=True)
        ],
    }
