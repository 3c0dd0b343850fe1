"""`cloche graph`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping

import click

from cloche.building.forecast import Forecast, forecast
from cloche.building.machine import expected_seconds
from cloche.building.packages import Builder
from cloche.cli.build import STRICT
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say
from cloche.cli.usage import Number
from cloche.config.project import load_project
from cloche.display.picture import Picture, as_dot, as_text
from cloche.display.state import Status
from cloche.display.svg import as_svg
from cloche.display.text import seconds
from cloche.display.theme import theme_for
from cloche.plan.depgraph import Depgraph
from cloche.plan.names import bare, matching, nearest
from cloche.plan.order import make_order, reduced
from cloche.plan.select import between, declared, kept, turned, within
from cloche.records.builds import unknown_package
from cloche.session.choices import Choices

UNCUT = 1 << 30  # columns


@click.command(
    epilog="""\b
Examples:
  cloche graph workbench
  cloche graph workbench jq --depth 2
  cloche graph workbench zlib --reverse
  cloche graph workbench --why-needed tmux ncurses
  cloche graph workbench --format svg > workbench.svg
"""
)
@click.argument("machine", shell_complete=complete_machine)
@click.argument("atom", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "dot", "svg"]),
    default="text",
    help="Output format [text].",
)
@click.option("--depth", type=Number(0), help="Follow at most this many edges.")
@click.option("--reverse", is_flag=True, help="Draw what needs ATOM instead of what it needs.")
@click.option(
    "--why-needed", type=(str, str), metavar="A B", help="Draw only the paths from A to B."
)
@click.option("--strict", is_flag=True, help=STRICT)
@click.pass_obj
def graph(
    options: Options,
    machine: str,
    atom: str | None,
    form: str,
    depth: int | None,
    reverse: bool,
    why_needed: tuple[str, str] | None,
    strict: bool,
) -> None:
    """Draw the dependency graph of MACHINE, or of ATOM in it."""
    project = load_project(options.directory)
    with opened_session(options, project, machine) as session:
        builder = session.prepare(machine, Choices(strict=strict))
        fates = forecast(builder)
        notes = _notes(builder, fates)
    resolution = builder.plan.graph
    names = tuple(package.id for package in resolution.packages)
    if why_needed:
        edges = declared(resolution)
        part = _ways(why_needed, edges)
    else:
        edges = reduced(make_order(names, builder.plan.waits_for()))
        part = _around(resolution, edges, atom, depth, reverse=reverse)
    picture = Picture(
        names=tuple(name for name in names if name in part),
        edges=kept(edges, part),
        status=_statuses(fates),
        notes=notes,
        strong=frozenset(p.id for p in resolution.packages if p.requested),
    )
    _show(picture, form, machine)
    if why_needed and part and form == "text":
        _tell_reasons(resolution, part)


def _around(
    resolution: Depgraph,
    edges: Mapping[str, tuple[str, ...]],
    atom: str | None,
    depth: int | None,
    *,
    reverse: bool,
) -> frozenset[str]:
    """Names to draw. Without an atom, the depth counts from the requested packages."""
    if atom is not None:
        start = _found(atom, edges)
    elif depth is None:
        return frozenset(edges)
    else:
        start = tuple(package.id for package in resolution.packages if package.requested)
    return within(turned(edges) if reverse else edges, start, depth)


def _ways(pair: tuple[str, str], edges: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """What lies on the paths between the two, whichever of them needs the other."""
    firsts, lasts = (_found(atom, edges) for atom in pair)
    for starts, ends in ((firsts, lasts), (lasts, firsts)):
        found = frozenset().union(*(between(edges, a, b) for a in starts for b in ends))
        if found:
            return found
    say(f"neither of {pair[0]} and {pair[1]} needs the other")
    return frozenset()


def _found(atom: str, edges: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    found = matching(atom, edges)
    if not found:
        raise unknown_package(atom, nearest(atom, edges))
    return found


def _notes(builder: Builder, fates: Mapping[str, Forecast]) -> dict[str, str]:
    notes = {}
    for package in builder.plan.packages:
        fate = fates[package.id].fate
        took = expected_seconds(builder.context.store, package) if fate != "reuse" else None
        notes[package.id] = fate if took is None else f"{fate}, ~{seconds(took)}"
    return notes


def _statuses(fates: Mapping[str, Forecast]) -> dict[str, Status]:
    return {name: "reused" if f.fate == "reuse" else "waiting" for name, f in fates.items()}


def _show(picture: Picture, form: str, machine: str) -> None:
    if form == "dot":
        click.echo(as_dot(picture, machine))
    elif form == "svg":
        click.echo(as_svg(picture, machine))
    else:
        theme = theme_for(sys.stdout.encoding, os.environ)
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNCUT
        for line in as_text(picture, theme, width):
            click.echo(line)


def _tell_reasons(resolution: Depgraph, part: frozenset[str]) -> None:
    """Print the dependencies in the ebuilds behind the edges."""
    click.echo()
    for package in resolution.packages:
        for edge in package.edges:
            if {package.id, edge.to} <= part and edge.to != package.id:
                kinds = ", ".join(edge.kinds)
                click.echo(f"{bare(package.id)} needs {edge.atom or bare(edge.to)} ({kinds})")
