"""`cloche ebuild`: ebuilds of the project's own repositories."""

from __future__ import annotations

import click

from cloche.cli.complete import complete_repo
from cloche.cli.options import Options
from cloche.cli.usage import Group
from cloche.config.errors import Origin, unknown_name
from cloche.config.newebuild import new_ebuild
from cloche.config.project import load_project


@click.group(
    cls=Group,
    epilog="""\b
Example:
  cloche ebuild new app-misc/hello-1.0
""",
)
def ebuild() -> None:
    """Work on ebuilds in the project's own repositories."""


@ebuild.command(
    epilog="""\b
Examples:
  cloche ebuild new app-misc/hello-1.0
  cloche ebuild new app-misc/hello-2.12 --from https://ftp.gnu.org/gnu/hello/hello-2.12.tar.gz
"""
)
@click.argument("name", metavar="CATEGORY/PN[-VERSION]")
@click.option("--from", "uris", multiple=True, metavar="URI", help="Address of a source.")
@click.option(
    "--license", "licence", default="all-rights-reserved", help="LICENSE, a name in licenses/."
)
@click.option("--repo", help="The repository [the first one].", shell_complete=complete_repo)
@click.pass_obj
def new(options: Options, name: str, uris: tuple[str, ...], licence: str, repo: str | None) -> None:
    """Create an ebuild and its metadata.xml, and add its category if that is new."""
    project = load_project(options.directory)
    own = {n: each.path for n, each in project.repos.items() if each.path is not None}
    place = own.get(repo or next(iter(own), ""))
    if place is None:
        raise unknown_name(Origin(project.root), "own repository", repo or "", own)
    for path in new_ebuild(place, name, uris, licence):
        click.echo(path)
    if not any((path / "licenses" / licence).is_file() for path in own.values()):
        text = place / "licenses" / licence
        click.echo(
            f"next: LICENSE is {licence}: put its text into {text}, or set another", err=True
        )
    if uris:
        click.echo("next: cloche manifest", err=True)
