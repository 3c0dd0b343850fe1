"""`cloche autogen github`: ebuilds of GitHub's releases."""

from __future__ import annotations

import re
from pathlib import Path

import click

from cloche.cli.autogen_options import FILE, Common, with_common, work
from cloche.cli.options import Options, say


@click.command(
    epilog="""\b
Examples:
  cloche autogen github larry/hello
  cloche autogen github larry/hello@v1.2 --into /var/db/repos/local --dry-run
  cloche autogen github larry/hello --category dev-libs --tags --matching '^hello-'
"""
)
@click.argument("name", metavar="OWNER/REPO[@TAG]")
@click.option("--category", metavar="CATEGORY", help="[that of a tree that has it, else app-misc]")
@click.option("--name", "pn", metavar="PN", help="The package's name [the repository's].")
@click.option("--prerelease", is_flag=True, help="Take pre-releases, too.")
@click.option("--tags", is_flag=True, help="Take all tags, not only those of releases.")
@click.option("--matching", default="", metavar="REGEX", help="Take only tags that match.")
@click.option("--names", type=FILE, help="Packages of more libraries (docs/autogen.md).")
@with_common
@click.option("--api-url", metavar="URL", help="The API [$GITHUB_API_URL, else GitHub's].")
@click.pass_obj
def github(
    options: Options,
    common: Common,
    name: str,
    category: str | None,
    pn: str | None,
    prerelease: bool,
    tags: bool,
    matching: str,
    names: Path | None,
    api_url: str | None,
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

    first = wanted(name)
    _check(category, pn, matching)
    task = work(options, common)
    keywords, cache = task.settings.keywords, frame.cache_directory()
    with (
        Api(address_of(api_url), cache / "github", token_of_environment()) as api,
        task.locked(),
    ):
        generator = Generator(
            api,
            task.trees,
            task.repository.path,
            Policy(category or "", pn or "", keywords, task.maintainers, task.licence),
            read_names(names),
            task.distdir,
            Rule(prerelease, tags, matching),
            say,
            common.crates_url,
        )
        packages = [generator.package(first)]
        found = task.write(packages)
    task.finish(packages, found)


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
