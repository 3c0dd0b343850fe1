"""`cloche init` and `cloche completion`."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from cloche.cli.complete import complete_profile
from cloche.session.starting import start

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  cloche init my-machines && cd my-machines && cloche seed bootstrap && cloche build first
  cloche init my-machines --repo /var/db/repos/gentoo \\
      --profile gentoo:default/linux/amd64/23.0
"""
)
@click.argument("directory", type=click.Path(path_type=Path))
@click.option(
    "--repo",
    "repos",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="An ebuild repository on this host that the machine uses, too; several times if needed.",
)
@click.option(
    "--profile",
    metavar="REPO:PATH",
    shell_complete=complete_profile,
    help="Profile of the machine [local:default, of the project's own repository].",
)
def init(directory: Path, repos: tuple[Path, ...], profile: str | None) -> None:
    """Create a small project in DIRECTORY (new or empty).

    If @system of the profile has a C library and sys-apps/baselayout, the machine gets them and a
    root of its own (`root = "own"`): nothing of its seed is in the result. Otherwise it is its
    seed with packages over it.
    """
    started = start(directory, repos, profile)
    click.echo(f"{directory.absolute()}: a machine `first`; see README.md there. Next:")
    click.echo(f"  cd {directory} && cloche seed bootstrap && cloche build first")
    more = {
        "own": "`cloche plan first` lists what is built for it",
        "seed": "machines/first.toml says what a root of its own needs",
    }
    click.echo(f'root = "{started.root}": {started.why}; {more[started.root]}')


@click.command(
    epilog="""\b
Example:
  cloche completion bash > ~/.local/share/bash-completion/completions/cloche
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for SHELL."""
    click.echo(completion_script(context.find_root().command, shell))


def completion_script(command: click.Command, shell: str, program: str = "cloche") -> str:
    """The script that completes the words of a program in one of `SHELLS`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    return kind(command, {}, program, f"_{program.upper()}_COMPLETE").source()
