"""`cloche import`: a project of a gentoomuch configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from cloche.cli.usage import Group
from cloche.display.text import count, one_line
from cloche.importing.from_gentoomuch import SEEDS, Wishes, project_of
from cloche.importing.gentoomuch import read_gentoomuch
from cloche.importing.outcome import Imported
from cloche.importing.report import as_data, lines_of, next_steps
from cloche.importing.writing import check, check_target, write

Function = TypeVar("Function", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "-o",
        "--output",
        metavar="PROJECT",
        type=click.Path(path_type=Path),
        help="Directory of the project, new or empty.",
    ),
    click.option("--dry-run", is_flag=True, help="Show the files that would be written."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _common(function: Function) -> Function:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@click.group(
    "import",
    cls=Group,
    epilog="""\b
Examples:
  cloche import gentoomuch ~/gentoomuch-config -o ~/machines
""",
)
def import_group() -> None:
    """Make a project of what you have.

    Whatever the project cannot have is printed, with the reason, and written to IMPORT.md in it.
    """


@import_group.command(
    "gentoomuch",
    epilog="""\b
Examples:
  cloche import gentoomuch ~/gentoomuch-config -o ~/machines
  cloche import gentoomuch ~/gentoomuch-config --dry-run
  cloche import gentoomuch ~/gentoomuch-config -o ~/machines \\
      --profile hardened=gentoo:default/linux/amd64/23.0/hardened
""",
)
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@_common
@click.option(
    "--seed",
    type=click.Choice(["stage3", *SEEDS]),
    default="stage3",
    show_default=True,
    help="What machines are built on.",
)
@click.option(
    "--profile",
    "profiles",
    metavar="[NAME=]REPO:PATH",
    multiple=True,
    help="The profile that gentoomuch's profile NAME stands for; without NAME=, all others.",
)
def gentoomuch_command(
    directory: Path,
    output: Path | None,
    dry_run: bool,
    as_json: bool,
    seed: str,
    profiles: tuple[str, ...],
) -> None:
    """Make a project of the gentoomuch configuration in DIR.

    Each stage4 becomes a machine; cpu.defines, portage.global and portage.locals become fragments.
    Where two fragments of a machine contradict each other, the later one holds, and both places are
    printed. DIR is only read [PROJECT: gentoomuch-project].
    """
    wishes = Wishes(seed, dict(_profile(text) for text in profiles))
    target = output or Path("gentoomuch-project")
    if not dry_run:
        check_target(target)
    imported = project_of(read_gentoomuch(directory), str(directory.absolute()), wishes)
    _finish(imported, target, dry_run=dry_run, as_json=as_json)


def _profile(text: str) -> tuple[str, str]:
    name, equals, profile = text.partition("=")
    profile = profile if equals else name
    if not all(profile.partition(":")):
        raise click.BadParameter(f"“{text}” is not [NAME=]REPO:PATH", param_hint="--profile")
    return (name if equals else "", profile)


def _finish(imported: Imported, target: Path, *, dry_run: bool, as_json: bool) -> None:
    """Write the project, or see that it could be written; say what was made."""
    if dry_run:
        check(imported)
    else:
        write(imported, target)
    if as_json:
        click.echo(json.dumps(as_data(imported, target.absolute(), written=not dry_run), indent=2))
        return
    for line in lines_of(imported):
        click.echo(one_line(line))
    if dry_run:
        click.echo("would be written:")
        for name in sorted((*imported.files, "IMPORT.md")):
            click.echo(one_line(f"  {target}/{name}"))
        return
    machines = ", ".join(imported.machines)
    click.echo(one_line(f"{target}: {count(len(imported.machines), 'machine')}: {machines}"))
    click.echo("Next:")
    for step in next_steps(imported, target):
        click.echo(one_line(f"  {step}"))
