"""`cloche init` and `cloche completion`."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import get_completion_class

from cloche.config.template import init as write_template


@click.command(
    epilog="""\b
Example:
  cloche init my-machines && cd my-machines && cloche seed bootstrap && cloche build first
"""
)
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Create a small project in DIRECTORY (new or empty)."""
    write_template(directory)
    click.echo(f"{directory.absolute()}: a machine `first`; see README.md there. Next:")
    click.echo(f"  cd {directory} && cloche seed bootstrap && cloche build first")


@click.command(
    epilog="""\b
Example:
  cloche completion bash > ~/.local/share/bash-completion/completions/cloche
"""
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print a completion script for SHELL."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    root = context.find_root().command
    click.echo(kind(root, {}, "cloche", "_CLOCHE_COMPLETE").source())
