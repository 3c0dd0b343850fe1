"""`cloche news`."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from cloche.building.news import Item, mark_read
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say
from cloche.config.project import load_project
from cloche.display.text import one_line, visible
from cloche.errors import ClocheError


@click.command(
    "news",
    epilog="""\b
Examples:
  cloche news workbench
  cloche news workbench 2026-01-05-new-profile
  cloche news workbench --read
  cloche news workbench --all --json | jq -r '.[].title'
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.argument("names", metavar="[ITEM]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Also list items that were read.")
@click.option("--read", "read", is_flag=True, help="Print the unread items and mark them as read.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; mark nothing as read.")
@click.pass_obj
def news_command(
    options: Options, machine: str, names: tuple[str, ...], every: bool, read: bool, as_json: bool
) -> None:
    """List unread news items for MACHINE, or print each ITEM.

    Portage decides which items are relevant for the machine as last built (GLEP 42). Printing an
    item marks it as read for all machines of the project. In the list, N means unread.
    """
    project = load_project(options.directory)
    with opened_session(options, project, machine) as session:
        found = session.news(machine)
        chosen = _chosen(found, names, every=every)
        if as_json:
            click.echo(json.dumps([asdict(item) for item in chosen], indent=2))
            return
        if not chosen:
            say(f"no {'' if every else 'unread '}news for machine “{machine}”")
            return
        if names or read:
            click.echo("\n\n".join(visible(item.text.rstrip("\n")) for item in chosen))
            mark_read(session.store, project.machine(machine).place, chosen)
            return
    for item in chosen:
        mark = " " if item.read else "N"
        click.echo(one_line(f"{mark}  {item.posted}  {item.name}  {item.title}"))


def _chosen(found: tuple[Item, ...], names: tuple[str, ...], *, every: bool) -> list[Item]:
    if not names:
        return [item for item in found if every or not item.read]
    known = {item.name for item in found}
    for name in names:
        if name not in known:
            raise ClocheError(
                f"no news item “{name}” concerns the machine",
                todo=f"there is: {', '.join(sorted(known))}" if known else None,
            )
    return [item for item in found if item.name in names]
