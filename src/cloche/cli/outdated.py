"""`cloche outdated`: what a sync would change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, check_machine, opened_session, say
from cloche.cli.progress import Transferred
from cloche.cli.repo import source_options
from cloche.cli.terminable import terminable
from cloche.config.project import load_project
from cloche.display.text import count, one_line
from cloche.errors import ClocheError
from cloche.session.inputs import Progressing, SyncOptions

if TYPE_CHECKING:
    from cloche.session.outdated import Moved, Outdated


@click.command(
    "outdated",
    epilog="""\b
Examples:
  cloche outdated
  cloche outdated web kiosk
  cloche outdated --json | jq -r '.machines[] | select(.advisories != []) | .machine'
""",
)
@click.argument("machines", metavar="[MACHINE]...", nargs=-1, shell_complete=complete_machine)
@click.option("--offline", is_flag=True, help="Compare with the newest states in the store.")
@source_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def outdated(
    options: Options,
    machines: tuple[str, ...],
    offline: bool,
    mirror: str | None,
    keyring: Path | None,
    as_json: bool,
) -> None:
    """Show what a sync of the repositories would change in each MACHINE [all].

    The newest states are fetched and verified, but not pinned: builds go on with what cloche.lock
    has until `cloche repo sync`. Letters are those of emerge; D: the package would go. Advisories
    (GLSAs of the newest state) are listed that concern the machine now, with "closed" if the sync
    would close them.
    """
    project = load_project(options.directory)
    for name in machines:
        check_machine(name, project.machines, project.root / "machines")
    how = SyncOptions(mirror, keyring, progress=Progressing(say, bytes=Transferred().progress))
    with terminable(), opened_session(options, project) as session:
        found = session.outdated(machines or project.machines, how, offline=offline)
    if as_json:
        click.echo(json.dumps(_data(*found), indent=2))
    else:
        for line in _lines(*found):
            click.echo(one_line(line))
    failed = [name for name, each in found[1].items() if isinstance(each, ClocheError)]
    if failed:
        raise ClocheError(
            f"{count(len(failed), 'machine')} could not be planned: {', '.join(failed)}",
            todo="see `cloche plan MACHINE` after `cloche repo sync`",
        )


def _data(moved: tuple[Moved, ...], found: dict[str, Outdated | ClocheError]) -> Any:
    machines = [
        {"machine": name, "error": str(each)}
        if isinstance(each, ClocheError)
        else {
            "machine": name,
            "changes": [asdict(change) for change in each.changes],
            "advisories": msgspec.to_builtins(each.advisories),
        }
        for name, each in found.items()
    ]
    repos = {
        each.name: {"before": _state(each.before), "after": _state(each.after)} for each in moved
    }
    return {"repositories": repos, "machines": machines}


def _lines(moved: tuple[Moved, ...], found: dict[str, Outdated | ClocheError]) -> Iterator[str]:
    for each in moved:
        yield f"{each.name}: {_state(each.before)} → {_state(each.after)}"
    if not moved and not all(isinstance(each, ClocheError) for each in found.values()):
        yield "the repositories are at their newest states"
    for name, result in found.items():
        if isinstance(result, ClocheError):
            yield f"{name}: {result}"
            continue
        told = count(len(result.changes), "package changes", "packages change")
        yield f"{name}: {told if result.changes else 'nothing changes'}"
        for change in result.changes:
            versions = " → ".join(filter(None, (change.before, change.after)))
            slot = "" if change.slot == "0" else f":{change.slot}"
            yield f"  {change.status:<2} {change.cp}{slot} {versions}"
        for advisory in result.advisories:
            closed = "closed" if advisory.closed else "stays open"
            packages = ", ".join(advisory.packages)
            yield f"  GLSA {advisory.id} ({packages}): {advisory.title}: {closed}"


def _state(pin: Any) -> str:
    if pin is None:
        return "nothing"
    return str(pin.timestamp or pin.commit[:12] or pin.tree[:12])
