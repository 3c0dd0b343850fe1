"""`cloche audit`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from cloche.audit.audit import KINDS, Audit, audit, surveyed
from cloche.audit.names import Names, find_names
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
  cloche audit stage3 --names debian --except '/usr/lib/python*/mesonbuild/*'

\b
Exit status: 0 if nothing is missing, every file has an owner, and no file has the
word of --names; otherwise 1.
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.option(
    "--names",
    "word",
    metavar="WORD",
    help="Also list each file that has WORD (ASCII, of any case) in its content or path, or as the "
    "target of a link, and where. Documentation is not searched, and what is compressed is not "
    "unpacked.",
)
@click.option(
    "--except",
    "allowed",
    metavar="GLOB",
    multiple=True,
    help="A path, perhaps with wildcards (* also matches slashes), of files that may have WORD. "
    "Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def audit_command(
    options: Options, machine: str, word: str | None, allowed: tuple[str, ...], as_json: bool
) -> None:
    """Check that the root of MACHINE is complete, and holds nothing of its seed.

    Lists the programs whose libraries or interpreters the root lacks, and the files that neither a
    package nor the list of files that Portage generates accounts for. Then, for information, files
    that hooks of packages or steps of [[finish]] wrote, libraries that lie outside of the loader's
    directories, and directories of RUNPATH that are missing. Nothing is run.

    MACHINE must be finished, and have a root of its own (`root = "own"`).
    """
    if allowed and word is None:
        raise click.UsageError("--except only has an effect with --names")
    project = project_or_none(options)
    place = project.place if project is not None else None
    with opened_store(options, project) as store:
        held = inventories(store, place, machine)
        if not held:
            raise not_built(f"machine {machine}", f"cloche build {machine}")
        layers = held[0].lowers
        if any(layer.kind not in KINDS for layer in layers):
            raise ClocheError(
                "its root contains its seed, whose files no package of the machine owns",
                where=f"machine {machine}",
                todo='set `root = "own"` in its file and build it again',
            )
        names = find_names(layers, word, allowed) if word is not None else None
        found = audit(surveyed(store, f"{held[0].place}/{machine}", layers))
    passed = found.passed and not (names and names.found)
    if as_json:
        data = {"machine": machine, "passed": passed, **asdict(found)}
        click.echo(json.dumps(data | ({"names": asdict(names)} if names else {}), indent=2))
    else:
        _tell(found)
        if names:
            _tell_names(names)
    sys.exit(Exit.DONE if passed else Exit.FAILED)


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


def _tell_names(names: Names) -> None:
    for each in names.found:
        more = f" and {each.more} more" if each.more else ""
        _line(f"names    {each.path} ({each.package}): {', '.join(each.places)}{more}")
    for pattern in names.unused:
        _line(f"note     --except {pattern}: no file with “{names.word}” needs it")
    excepted = f", {len(names.excepted)} excepted" if names.excepted else ""
    _line(f"“{names.word}”: {count(len(names.found), 'file')}{excepted}")


def _line(text: str) -> None:
    click.echo(one_line(text))
