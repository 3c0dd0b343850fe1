"""`cloche autogen`: ebuilds from what upstream publishes."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloche.cli.autogen_github import github
from cloche.cli.autogen_options import Common, with_common, work
from cloche.cli.autogen_run import run
from cloche.cli.options import Options, opened_session, opened_store, say
from cloche.cli.showing import Shown, opened_display
from cloche.cli.usage import Group
from cloche.config.project import Project
from cloche.display.text import one_line
from cloche.errors import ClocheError, Exit
from cloche.trees.stored import find_tree

if TYPE_CHECKING:
    from cloche.autogen.package import Package
    from cloche.autogen.repository import Changes
    from cloche.autogen.trees import Trees
    from cloche.portage.repository import Repository

PORTAGE = Path("/etc/portage/repos.conf")


@click.group(
    cls=Group,
    epilog="""\b
Examples:
  cloche autogen pypi requests
  cloche autogen pypi zope.interface==7.2 --into /var/db/repos/local --dry-run
  cloche autogen github larry/hello
  cloche autogen run --dry-run
""",
)
def autogen() -> None:
    """Write ebuilds from what upstream publishes."""


autogen.add_command(github)
autogen.add_command(run)


@autogen.command(
    epilog="""\b
Examples:
  cloche autogen pypi requests
  cloche autogen pypi rich --deps
  cloche autogen pypi rich --deps --build first --fix
  cloche autogen pypi zope.interface==7.2 --into /var/db/repos/local --dry-run
  cloche autogen pypi foo --license MIT --maintainer 'Larry <larry@example.org>'
"""
)
@click.argument("name", metavar="NAME[==VERSION]")
@click.option("--deps", is_flag=True, help="Also write what it needs and no repository has.")
@with_common
@click.option("--index-url", metavar="URL", help="The index of packages [pip's].")
@click.pass_obj
def pypi(options: Options, common: Common, name: str, deps: bool, index_url: str | None) -> None:
    """Write the ebuild of a Python package, with Manifest and metadata.xml.

    Nothing of the package is run. What has no exact form in an ebuild is refused with the reason.
    """
    require()
    from cloche.autogen.pypi.ebuild import Policy
    from cloche.autogen.pypi.generate import Generator, wanted
    from cloche.autogen.pypi.index import Index, page_for_people
    from cloche.seeds.debian.pip_config import host_settings

    first = wanted(name)
    task = work(options, common)
    given = task.settings
    pip = host_settings()
    if index_url is not None:
        pip = replace(pip, indexes=(index_url.rstrip("/") + "/",))
    with Index(pip) as index, task.locked():
        generator = Generator(
            index,
            task.trees,
            task.repository.path,
            Policy(given.category, given.keywords, task.maintainers, task.licence),
            task.distdir,
            page_for_people(),
            deps,
            say,
            common.crates_url,
        )
        packages = generator.packages(first)
        found = task.write(packages)
    task.finish(packages, found)


def build_packages(
    options: Options,
    project: Project,
    machine: str,
    repository: Repository,
    trees: Trees,
    distdir: Path,
    packages: Sequence[Package],
    *,
    fix: bool,
) -> None:
    """Build the first of the packages; with ``fix``, until nothing more is found to be missing.

    Of the others, those are built that the first needs for this machine's Python.
    """
    from cloche.autogen import trial as trials
    from cloche.autogen.repository import cache_changes, ebuild_path, replace_ebuild, write

    named = (packages[0].ebuild.cpv,)
    wanted = trials.Trial(
        project.machine(machine), repository.name, named, named, distdir, imported=named
    )
    shown = Shown(opened_display("auto", verbose=False))
    added: set[trials.Lacking] = set()
    with opened_session(options, project, machine, sink=shown) as session, shown.work_of(session):
        while isinstance(done := trials.build(session, wanted, trees), tuple):
            error, lacking = done
            new = [each for each in dict.fromkeys(lacking) if each not in added]
            if not fix or not new:
                raise error
            for cpv in dict.fromkeys(each.cpv for each in new):
                path = ebuild_path(repository.path, cpv)
                own = [each for each in new if each.cpv == cpv]
                replace_ebuild(repository, path, trials.declare(path, own))
            added.update(new)
            for each in new:
                say(f"{each.cpv}: {each.what} was missing: {each.lines[1]}")
        cache = cache_changes(
            repository, trials.cache_entries(session, wanted.machine, repository.name)
        )
    write(repository.path, [cache])
    say(f"{done.built} built, {done.reused} reused")


def require() -> None:
    """See that the extra is installed. Raises `ClocheError`."""
    try:
        import packaging.licenses  # noqa: F401
        import pypi_simple  # noqa: F401
    except ImportError as error:
        what = f"the Python package {error.name} is not installed"
        todo = "pip install 'cloche[autogen]'"
        raise ClocheError(what, todo=todo, status=Exit.HOST) from error


def target_of(project: Project | None, into: Path | None) -> Path:
    """The repository to write to. Raises `click.UsageError`."""
    if into is not None:
        return into
    own = [repo.path for repo in project.repos.values() if repo.path] if project else []
    if not own:
        raise click.UsageError("no project with a repository of its own is here: use --into DIR")
    return own[0]


def places_of(options: Options, project: Project | None) -> Sequence[Path]:
    """The repositories of the project, else those of the system."""
    from cloche.autogen.trees import places_of_portage

    if project is None:
        return places_of_portage(PORTAGE)
    found = [repo.path for repo in project.repos.values() if repo.path is not None]
    synced = [repo for repo in project.repos.values() if repo.path is None]
    if synced:
        with opened_store(options, project) as store:
            taken = [find_tree(store, project, repo) for repo in synced]
        found += [each.path for each in taken if each is not None]
    return found


def cache_directory() -> Path:
    """The user's cache (XDG Base Directory Specification)."""
    own = os.environ.get("XDG_CACHE_HOME")
    return (Path(own).expanduser() if own else Path.home() / ".cache") / "cloche"


def show(found: Changes, *, dry_run: bool) -> None:
    """Print what was written, or would be."""
    for path, text in found.files:
        if dry_run:
            old = path.read_text(errors="replace") if path.exists() else ""
            lines = (old.splitlines(keepends=True), text.splitlines(keepends=True))
            click.echo("".join(difflib.unified_diff(*lines, str(path), str(path))), nl=False)
        else:
            click.echo(path)
    if not found.files:
        say(f"{found.cpv}: nothing has changed")
    for note in found.notes:
        say(f"note: {one_line(note)}")


def data_of(package: Package, found: Changes) -> dict[str, Any]:
    """A package for ``--json``."""
    from cloche.autogen.dependencies import atoms

    ebuild = package.ebuild
    kinds = {"rdepend": ebuild.rdepend, "depend": ebuild.depend, "bdepend": ebuild.bdepend}
    return {
        "package": ebuild.cpv,
        "license": ebuild.license,
        "use": list(ebuild.iuse),
        **{kind: [str(atom) for atom in atoms(wanted)] for kind, wanted in kinds.items()},
        "sources": [source.name for source in package.sources],
        "changed": [str(path) for path, _ in found.files],
        "notes": list(found.notes),
    }
