"""`cloche manifest`: the Manifests of the project's own repositories."""

from __future__ import annotations

import sys

import click

from cloche.cli.complete import complete_machine, complete_repo
from cloche.cli.options import Options, opened_session, say
from cloche.config.project import load_project
from cloche.errors import Exit


@click.command(
    epilog="""\b
Examples:
  cloche manifest app-misc/greeting
  cloche manifest local
  cloche manifest --check
  cloche manifest greeting --force
"""
)
@click.argument("what", nargs=-1, metavar="[[CATEGORY/]PN | REPO]...", shell_complete=complete_repo)
@click.option(
    "--check", is_flag=True, help="Write and fetch nothing; list missing or wrong Manifests."
)
@click.option(
    "--force", is_flag=True, help="Fetch all sources again and ignore the existing digests."
)
@click.option(
    "--machine",
    help="Use the seed and configuration of this machine [the first one].",
    shell_complete=complete_machine,
)
@click.pass_obj
def manifest(
    options: Options, what: tuple[str, ...], check: bool, force: bool, machine: str | None
) -> None:
    """Write Manifests in the project's own repositories.

    The default is all packages. Sources without a known digest are fetched. With --check the exit
    status is 1 if a Manifest is missing or wrong; the sources themselves are not read.
    """
    if check and force:
        raise click.UsageError("--check fetches nothing: leave out --force")
    project = load_project(options.directory)
    with opened_session(options, project, *([machine] if machine else [])) as session:
        wrong = False
        for each in session.manifests(what, machine, check=check, force=force):
            wrong = True
            if check:
                say(f"{each.path}: {each.what}")
            else:
                click.echo(each.path)
    if check and wrong:
        sys.exit(Exit.FAILED)
