"""`cloche audit`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from cloche.audit.audit import Audit, audit, surveyed
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_store, project_or_none
from cloche.display.text import count, one_line
from cloche.errors import ClocheError, Exit
from cloche.output.inventory import inventories
from cloche.records.builds import not_built


@click.command(
    "audit",
    epilog="""\b
Examples:
  cloche audit router
  cloche audit router --json

\b
Exit status: 0 if nothing is missing and every file has an owner, otherwise 1.
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def audit_command(options: Options, machine: str, as_json: bool) -> None:
    """Check that the root of MACHINE is complete, and holds nothing of its seed.

    Lists the programs whose libraries or interpreters the root lacks, and the files that neither a
    package nor the list of files that Portage generates accounts for. Then, for information, files
    that hooks of packages wrote, libraries that lie outside of the loader's directories, and
    directories of RUNPATH that are missing. Nothing is run.

    MACHINE must be finished, and have a root of its own (`root = "own"`).
    """
    project = project_or_none(options)
    place = project.place if project is not None else None
    with opened_store(options, project) as store:
        held = inventories(store, place, machine)
        if not held:
            raise not_built(f"machine {machine}", f"cloche build {machine}")
        layers = held[0].lowers
        if any(layer.kind not in ("package", "config", "state") for layer in layers):
            raise ClocheError(
                "its root contains its seed, whose files no package of the machine owns",
                where=f"machine {machine}",
                todo='set `root = "own"` in its file and build it again',
            )
        found = audit(surveyed(store, f"{held[0].place}/{machine}", layers))
    if as_json:
        click.echo(json.dumps({"machine": machine, **_data(found)}, indent=2))
    else:
        _tell(found)
    sys.exit(Exit.DONE if found.passed else Exit.FAILED)


def _data(found: Audit) -> dict[str, object]:
    return {"passed": found.passed, **asdict(found)}


def _tell(found: Audit) -> None:
    for need in found.unmet:
        _line(f"unmet    {need.path} ({need.package}): {need.text}")
    for path in found.unowned:
        _line(f"unowned  {path}")
    for each in found.written:
        _line(f"hook     {each.path} ({each.package})")
    for need in found.notes:
        there = f"only at {need.aside}" if need.aside else "missing"
        _line(f"note     {need.path} ({need.package}): {need.text}, {there}")
    _line(
        f"{count(found.files, 'file')}, {count(found.programs, 'program')} examined: "
        f"{len(found.unmet)} unmet, {len(found.unowned)} unowned, "
        f"{len(found.written)} by hooks, {count(len(found.notes), 'note')}"
    )


def _line(text: str) -> None:
    click.echo(one_line(text))
