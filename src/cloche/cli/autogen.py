"""`cloche autogen`: ebuilds from what upstream publishes."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloche.cli.autogen_github import github
from cloche.cli.autogen_run import run
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, opened_session, opened_store, project_or_none, say
from cloche.cli.showing import Shown, opened_display
from cloche.cli.usage import Group
from cloche.config.errors import Origin
from cloche.config.project import Project
from cloche.display.text import one_line
from cloche.errors import ClocheError, Exit
from cloche.trees.stored import find_tree

if TYPE_CHECKING:
    from cloche.autogen.package import Package
    from cloche.autogen.repository import Changes
    from cloche.autogen.trees import Trees
    from cloche.portage.repository import Repository

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
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
@click.option("--into", type=DIRECTORY, help="The ebuild repository [the project's first own one].")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    type=DIRECTORY,
    help="Another repository whose packages are used [the project's, or those of /etc/portage].",
)
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
@click.option("--index-url", metavar="URL", help="The index of packages [pip's].")
@click.option("--crates-url", metavar="URL", help="Where Rust crates are [pycargoebuild's].")
@click.option(
    "--distdir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where source archives are kept [~/.cache/cloche/distfiles].",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def pypi(
    options: Options,
    name: str,
    deps: bool,
    into: Path | None,
    repos: tuple[Path, ...],
    machine: str | None,
    fix: bool,
    dry_run: bool,
    force: bool,
    licence: str | None,
    people: tuple[str, ...],
    config: Path | None,
    index_url: str | None,
    crates_url: str | None,
    distdir: Path | None,
    as_json: bool,
) -> None:
    """Write the ebuild of a Python package, with Manifest and metadata.xml.

    Nothing of the package is run. What has no exact form in an ebuild is refused with the reason.
    """
    require()
    if (fix and machine is None) or (dry_run and machine is not None):
        raise click.UsageError("--fix needs --build, and --dry-run builds nothing")
    from cloche.autogen.licences import checked
    from cloche.autogen.lock import alone
    from cloche.autogen.pypi.ebuild import Policy
    from cloche.autogen.pypi.generate import Generator, wanted
    from cloche.autogen.pypi.index import Index, page_for_people
    from cloche.autogen.repository import all_changes, write
    from cloche.autogen.settings import maintainer, read_settings
    from cloche.autogen.trees import Trees
    from cloche.portage.repository import found_repository
    from cloche.seeds.debian.pip_config import host_settings

    first = wanted(name)
    project = project_or_none(options)
    repository = found_repository(target_of(project, into).absolute())
    given = read_settings(config or Path("autogen.toml"))
    maintainers = tuple(maintainer(each, Origin(Path("--maintainer"))) for each in people)
    named = checked(licence) if licence is not None else None
    policy = Policy(given.category, given.keywords, maintainers or given.maintainers, named)
    pip = host_settings()
    if index_url is not None:
        pip = replace(pip, indexes=(index_url.rstrip("/") + "/",))
    places = (repository.path, *repos, *places_of(options, project))
    trees = Trees(tuple(dict.fromkeys(places)))
    distdir = (distdir or cache_directory() / "distfiles").absolute()
    with Index(pip) as index, nullcontext() if dry_run else alone(repository.path):
        generator = Generator(
            index,
            trees,
            repository.path,
            policy,
            distdir,
            page_for_people(),
            deps,
            say,
            crates_url,
        )
        packages = generator.packages(first)
        found = all_changes(repository, packages, force=force)
        if not dry_run:
            write(repository.path, found)
    if as_json:
        click.echo(json.dumps([*map(data_of, packages, found)], indent=2))
    else:
        for each in found:
            show(each, dry_run=dry_run)
    if machine is not None:
        if project is None:
            raise click.UsageError("--build needs a project")
        build_packages(options, project, machine, repository, trees, distdir, packages, fix=fix)


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
    """Build packages until it succeeds, or nothing more is found that they lack."""
    from cloche.autogen import trial as trials
    from cloche.autogen.repository import cache_changes, ebuild_path, replace_ebuild, write

    cpvs = tuple(each.ebuild.cpv for each in packages)
    wanted = trials.Trial(project.machine(machine), repository.name, cpvs, cpvs[:1], distdir)
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
        cache = cache_changes(repository, trials.cache_entries(session, wanted))
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
