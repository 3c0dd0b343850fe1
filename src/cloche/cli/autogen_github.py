"""`cloche autogen github`: ebuilds of GitHub's releases."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path

import click

from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, project_or_none, say
from cloche.config.errors import Origin

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    epilog="""\b
Examples:
  cloche autogen github larry/hello
  cloche autogen github larry/hello@v1.2 --into /var/db/repos/local --dry-run
  cloche autogen github larry/hello --category dev-libs --tags --matching '^hello-'
"""
)
@click.argument("name", metavar="OWNER/REPO[@TAG]")
@click.option("--into", type=DIRECTORY, help="The ebuild repository [the project's first own one].")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    type=DIRECTORY,
    help="Another repository whose packages are used [the project's, or those of /etc/portage].",
)
@click.option("--category", metavar="CATEGORY", help="[that of a tree that has it, else app-misc]")
@click.option("--name", "pn", metavar="PN", help="The package's name [the repository's].")
@click.option("--prerelease", is_flag=True, help="Take pre-releases, too.")
@click.option("--tags", is_flag=True, help="Take all tags, not only those of releases.")
@click.option("--matching", default="", metavar="REGEX", help="Take only tags that match.")
@click.option("--names", type=FILE, help="Packages of more libraries (docs/autogen.md).")
@click.option(
    "--build",
    "machine",
    metavar="MACHINE",
    shell_complete=complete_machine,
    help="Build what was written for this machine of the project, with its tests.",
)
@click.option("--fix", is_flag=True, help="With --build: add what the build shows to be missing.")
@click.option("--dry-run", "-n", is_flag=True, help="Write nothing; show what would change.")
@click.option("--force", is_flag=True, help="Overwrite edits outside of the marked lines.")
@click.option("--license", "licence", help="LICENSE, where upstream names none.")
@click.option(
    "--maintainer", "people", multiple=True, metavar="NAME <MAIL>", help="[autogen.toml's]"
)
@click.option("--config", type=FILE, help="The settings [autogen.toml here].")
@click.option("--api-url", metavar="URL", help="The API [$GITHUB_API_URL, else GitHub's].")
@click.option("--crates-url", metavar="URL", help="Where Rust crates are [pycargoebuild's].")
@click.option(
    "--distdir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where source archives are kept [~/.cache/cloche/distfiles].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def github(
    options: Options,
    name: str,
    into: Path | None,
    repos: tuple[Path, ...],
    category: str | None,
    pn: str | None,
    prerelease: bool,
    tags: bool,
    matching: str,
    names: Path | None,
    machine: str | None,
    fix: bool,
    dry_run: bool,
    force: bool,
    licence: str | None,
    people: tuple[str, ...],
    config: Path | None,
    api_url: str | None,
    crates_url: str | None,
    distdir: Path | None,
    as_json: bool,
) -> None:
    """Write the ebuild of a release on GitHub, with Manifest and metadata.xml.

    Nothing of the release is run. A token in GITHUB_TOKEN has a higher rate limit.
    """
    from cloche.cli import autogen as frame

    frame.require()
    from cloche.autogen.github.answers import wanted
    from cloche.autogen.github.api import Api, address_of, token_of_environment
    from cloche.autogen.github.choice import Rule
    from cloche.autogen.github.ebuild import Policy
    from cloche.autogen.github.generate import Generator
    from cloche.autogen.github.mapping import names as read_names
    from cloche.autogen.licences import checked
    from cloche.autogen.lock import alone
    from cloche.autogen.repository import changes, write
    from cloche.autogen.settings import maintainer, read_settings
    from cloche.autogen.trees import Trees
    from cloche.portage.repository import found_repository

    if (fix and machine is None) or (dry_run and machine is not None):
        raise click.UsageError("--fix needs --build, and --dry-run builds nothing")
    first = wanted(name)
    _check(category, pn, matching)
    project = project_or_none(options)
    repository = found_repository(frame.target_of(project, into).absolute())
    given = read_settings(config or Path("autogen.toml"))
    maintainers = tuple(maintainer(each, Origin(Path("--maintainer"))) for each in people)
    named = checked(licence) if licence is not None else None
    policy = Policy(
        category or "", pn or "", given.keywords, maintainers or given.maintainers, named
    )
    trees_of = (repository.path, *repos, *frame.places_of(options, project))
    trees = Trees(tuple(dict.fromkeys(trees_of)))
    cache = frame.cache_directory()
    distdir = (distdir or cache / "distfiles").absolute()
    with (
        Api(address_of(api_url), cache / "github", token_of_environment()) as api,
        nullcontext() if dry_run else alone(repository.path),
    ):
        generator = Generator(
            api,
            trees,
            repository.path,
            policy,
            read_names(names),
            distdir,
            Rule(prerelease, tags, matching),
            say,
            crates_url,
        )
        package = generator.package(first)
        found = changes(repository, package, force=force)
        if not dry_run:
            write(repository.path, [found])
    if as_json:
        click.echo(json.dumps([frame.data_of(package, found)], indent=2))
    else:
        frame.show(found, dry_run=dry_run)
    if machine is not None:
        if project is None:
            raise click.UsageError("--build needs a project")
        frame.build_packages(
            options, project, machine, repository, trees, distdir, [package], fix=fix
        )


def _check(category: str | None, pn: str | None, matching: str) -> None:
    """Raise `click.BadParameter` for a name that is not one."""
    from cloche.config.atoms import CATEGORY, PACKAGE, VERSION

    if category is not None and not re.fullmatch(CATEGORY, category):
        raise click.BadParameter(f"“{category}” is not a category", param_hint="--category")
    if pn is not None and (not re.fullmatch(PACKAGE, pn) or re.fullmatch(rf".*-{VERSION}", pn)):
        raise click.BadParameter(f"“{pn}” is not a package's name", param_hint="--name")
    try:
        re.compile(matching)
    except re.error as error:
        raise click.BadParameter(str(error), param_hint="--matching") from error
