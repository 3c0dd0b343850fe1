"""`cloche shell`: a command, or a terminal, in a machine's root or in a package's build root."""

from __future__ import annotations

import sys

import click

from cloche.building.root import SHELLS, Root
from cloche.cli.build import STRICT
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, say
from cloche.cli.running import run_in
from cloche.config.project import load_project
from cloche.errors import ClocheError, Exit
from cloche.session.choices import Choices


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="""\b
Examples:
  cloche shell workbench
  cloche shell workbench -- jq --version
  cloche shell workbench -- emerge --pretend --usepkgonly app-misc/jq
  cloche shell workbench --package app-misc/tmux

\b
With --package the root is the one in which the package is built: it holds only
what the package declares. After a failed build it is the root of that build, with
its work directory, until the package is built successfully.

\b
Exit status: that of COMMAND; 127 if the command is not found, 126 if it cannot be
executed, 128 plus the number of the signal that ended it (137 for SIGKILL).
""",
)
@click.argument("machine", shell_complete=complete_machine)
@click.option("--package", "atom", help="Open the root in which this package is built.")
@click.option("--strict", is_flag=True, help=STRICT)
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def shell(
    options: Options, machine: str, atom: str | None, strict: bool, command: tuple[str, ...]
) -> None:
    """Open a shell in MACHINE as last built, or run COMMAND there.

    Changes to the machine's root are discarded at the end. The shell has no network. emerge can use
    the project's repositories, and with --usepkg the packages of PROJECT/out/MACHINE.
    """
    project = load_project(options.directory)
    choices = Choices(strict=strict)
    with (
        opened_session(options, project, machine) as session,
        session.shell(machine, atom, choices) as root,
    ):
        if root.note:
            say(root.note)
        status = run_in(session.engine, root, command or _shell(root, machine))
    sys.exit(status)


def _shell(root: Root, machine: str) -> tuple[str, ...]:
    """The command that opens a shell. Raises ClocheError if the root has none."""
    if root.shell is None:
        raise ClocheError(
            f"its root has none of {', '.join(SHELLS)}",
            where=f"machine {machine}",
            todo="add a shell to its packages, or name a program: "
            f"`cloche shell {machine} -- PROGRAM`",
            status=Exit.BAD_INPUT,
        )
    return (root.shell, "-l") if root.login else (root.shell,)
