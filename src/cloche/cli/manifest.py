"""`cloche manifest`: the Manifests of the project's own repositories."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from cloche.building.categories import check_categories
from cloche.building.manifest import Manifest, manifests
from cloche.cli.complete import complete_machine, complete_repo
from cloche.cli.options import Options, opened_session, say
from cloche.config.errors import Origin, no_machines, unknown_name, unwritable
from cloche.config.project import Project, load_project
from cloche.errors import Exit
from cloche.session.choices import Choices


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
@click.option("--check", is_flag=True, help="Write and fetch nothing; name what is not right.")
@click.option(
    "--force", is_flag=True, help="Fetch all sources again, and do not believe the digests there."
)
@click.option(
    "--machine",
    help="Whose seed and configuration to use [the first one].",
    shell_complete=complete_machine,
)
@click.pass_obj
def manifest(
    options: Options, what: tuple[str, ...], check: bool, force: bool, machine: str | None
) -> None:
    """Write the Manifests of packages in the project's own repositories: all, or those named.

    Sources whose digests are not known are fetched. With --check the exit status is 1 where a
    Manifest is missing or wrong; whether its digests are those of the sources is not looked at.
    """
    if check and force:
        raise click.UsageError("--check fetches nothing: leave out --force")
    project = load_project(options.directory)
    if not project.machines:
        raise no_machines(Origin(project.root))
    name = machine or min(project.machines)
    packages = dict(_packages(project, what))
    wrong = 0
    with opened_session(options, project, name) as session:
        context = session.context(project.machine(name), Choices(offline=check))
        names = (each for chosen in packages.values() for each in chosen)
        check_categories(context.inputs, (each.partition("/")[0] for each in names))
        for repo, chosen in packages.items():
            place = project.repos[repo].path
            if place is None or not chosen:
                continue
            for made in manifests(context, repo, chosen, anew=force):
                wrong += _checked(place, made) if check else _written(place, made)
    if check and wrong:
        sys.exit(Exit.FAILED)


def _packages(project: Project, what: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    """The packages that are meant, by repository. Raises `ConfigError`."""
    own = {name: repo.path for name, repo in project.repos.items() if repo.path is not None}
    there = {name: _directories(path) for name, path in own.items()}
    all_names = {name for names in there.values() for name in names}
    for word in what:
        if word not in own and not any(_means(word, name) for name in all_names):
            kind = "package or repository of its own"
            raise unknown_name(Origin(project.root), kind, word, {*own, *all_names})
    for repo, names in there.items():
        whole = not what or repo in what
        yield repo, [n for n in names if whole or any(_means(word, n) for word in what)]


def _means(word: str, name: str) -> bool:
    """Whether a word of the command line is the package ``category/pn``, or its ``pn``."""
    return word in (name, name.partition("/")[2])


def _directories(path: Path) -> list[str]:
    """``category/pn`` of all ebuilds."""
    return sorted({f"{e.parent.parent.name}/{e.parent.name}" for e in path.glob("*/*/*.ebuild")})


def _current(place: Path, made: Manifest) -> tuple[Path, str | None]:
    """The Manifest's path, which has to lie in the repository, and its text."""
    path = place / made.cp / "Manifest"
    if path.parent.resolve() != place.resolve() / made.cp or path.is_symlink():
        raise unwritable(path, "a link leads elsewhere")
    return path, path.read_text() if path.exists() else None


def _checked(place: Path, made: Manifest) -> bool:
    """Say what is wrong with a Manifest; True where something is."""
    path, text = _current(place, made)
    if made.absent:
        say(f"{path}: no digest of {', '.join(made.absent)}")
    elif made.text is not None and (text or "") != made.text:
        say(f"{path}: {'not what it has to be' if text is not None else 'missing'}")
    else:
        return False
    return True


def _written(place: Path, made: Manifest) -> bool:
    """Write a Manifest that is not right yet; one without a line is removed, as Portage does."""
    path, text = _current(place, made)
    if made.text is None or (text or "") == made.text:
        return False
    try:
        if made.text:
            with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
                file.write(made.text)
            Path(file.name).chmod(0o644)
            Path(file.name).rename(path)
        else:
            path.unlink()
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    click.echo(path)
    return True
