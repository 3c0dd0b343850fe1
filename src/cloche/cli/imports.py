"""`cloche import`: a project of a gentoomuch configuration, or of a running Gentoo system."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click
from click.shell_completion import CompletionItem

from cloche.cli.usage import Group
from cloche.config.atoms import is_name
from cloche.display.text import count, one_line
from cloche.importing import from_system
from cloche.importing.from_gentoomuch import SEEDS, Wishes, project_of
from cloche.importing.gentoomuch import read_gentoomuch
from cloche.importing.outcome import Imported
from cloche.importing.report import as_data, lines_of, next_steps
from cloche.importing.system import read_directory, read_remote
from cloche.importing.writing import all_files, check, check_target, write
from cloche.targets.connection import opened_connection, parse_address

DIRECTORY = from_system.DIRECTORY
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


def _complete_directory(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Directories, or what an address begins with."""
    if begun and "ssh://".startswith(begun):
        return [CompletionItem("ssh://")]
    return click.Path(file_okay=False).shell_complete(context, parameter, begun)


@click.group(
    "import",
    cls=Group,
    epilog="""\b
Examples:
  cloche import gentoomuch ~/gentoomuch-config -o ~/machines
  cloche import root ssh://root@web1 -o ~/machines
  cloche import root / --dry-run
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


@import_group.command(
    "root",
    epilog="""\b
Examples:
  cloche import root ssh://root@web1 -o ~/machines
  cloche import root ssh://admin@10.0.0.7:2222 --name router --json
  cloche import root / --dry-run
  cloche import root /mnt/gentoo -o ~/machines --seed directory
""",
)
@click.argument("root", metavar="DIR|ssh://[USER@]HOST[:PORT]", shell_complete=_complete_directory)
@_common
@click.option("--name", metavar="MACHINE", help="Name of the machine [its host name].")
@click.option(
    "--seed",
    type=click.Choice(["stage3", *SEEDS, DIRECTORY]),
    default="stage3",
    show_default=True,
    help="What the machine is built on; `directory` is the root itself, if it is on this host.",
)
def root_command(
    root: str, output: Path | None, dry_run: bool, as_json: bool, name: str | None, seed: str
) -> None:
    """Make a project of the Gentoo system in DIR, or of one that is reached by ssh.

    Takes its profile, repositories, world file and sets, /etc/portage, the kernel's configuration,
    services, host name, time zone and locales. The system is only read. It needs Python, and root
    rights if files are not for everybody. Passwords and keys are never taken [PROJECT: MACHINE].
    """
    if name is not None and not is_name(name):
        raise click.BadParameter(f"“{name}” is not a machine's name", param_hint="--name")
    if output is not None and not dry_run:
        check_target(output)
    directory = None if "://" in root else Path(root).absolute()
    if directory is None:
        if seed == DIRECTORY:
            raise click.UsageError("--seed directory needs a directory of this host")
        address = parse_address(root)
        with opened_connection(address) as connection:
            system, source = read_remote(connection), str(address)
    else:
        system, source = read_directory(directory), str(directory)
    place = None if directory is None else str(directory)
    imported = from_system.project_of(system, source, from_system.Wish(name, seed, place))
    target = output or Path(imported.machines[0])
    if not dry_run:
        check_target(target)
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
        for name in all_files(imported):
            click.echo(one_line(f"  {target}/{name}"))
        return
    machines = ", ".join(imported.machines)
    click.echo(one_line(f"{target}: {count(len(imported.machines), 'machine')}: {machines}"))
    click.echo("Next:")
    for step in next_steps(imported, target):
        click.echo(one_line(f"  {step}"))
