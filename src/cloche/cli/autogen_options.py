"""What `cloche autogen pypi` and `cloche autogen github` share.

Their options, where packages are written, and what is printed and built when they are.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloche.cli.autogen_pkgcheck import check_ebuilds, check_root, declaring
from cloche.cli.complete import complete_machine
from cloche.cli.options import Options, project_or_none
from cloche.config.errors import Origin

if TYPE_CHECKING:
    from cloche.autogen.package import Maintainer, Package
    from cloche.autogen.repository import Changes
    from cloche.autogen.settings import Settings
    from cloche.autogen.trees import Trees
    from cloche.config.project import Project
    from cloche.portage.repository import Repository

DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = (
    click.option(
        "--into", type=DIRECTORY, help="The ebuild repository [the project's first own one]."
    ),
    click.option(
        "--repo",
        "repos",
        multiple=True,
        type=DIRECTORY,
        help="Another repository whose packages are used [the project's, or those of "
        "/etc/portage].",
    ),
    click.option(
        "--build",
        "machine",
        metavar="MACHINE",
        shell_complete=complete_machine,
        help="Build what was written for this machine of the project, with its tests.",
    ),
    click.option(
        "--fix", is_flag=True, help="With --build: add what the build shows to be missing."
    ),
    click.option(
        "--pkgcheck",
        metavar="MACHINE",
        shell_complete=complete_machine,
        help="Then scan the new ebuilds with pkgcheck in the root of this machine.",
    ),
    click.option("--dry-run", "-n", is_flag=True, help="Write nothing; show what would change."),
    click.option("--force", is_flag=True, help="Overwrite edits outside of the marked lines."),
    click.option("--license", "licence", help="LICENSE, where upstream does not say it clearly."),
    click.option(
        "--maintainer", "people", multiple=True, metavar="NAME <MAIL>", help="[autogen.toml's]"
    ),
    click.option("--config", type=FILE, help="The settings [autogen.toml here]."),
    click.option("--crates-url", metavar="URL", help="Where Rust crates are [pycargoebuild's]."),
    click.option(
        "--distdir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Where source archives are kept [~/.cache/cloche/distfiles].",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


@dataclass(frozen=True, slots=True)
class Common:
    """The values of these options."""

    into: Path | None
    repos: tuple[Path, ...]
    machine: str | None
    fix: bool
    pkgcheck: str | None
    dry_run: bool
    force: bool
    licence: str | None
    people: tuple[str, ...]
    config: Path | None
    crates_url: str | None
    distdir: Path | None
    as_json: bool


def with_common(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options; it gets their values as ``common``."""

    @functools.wraps(function)
    def call(*args: object, **values: object) -> None:
        taken = {each.name: values.pop(each.name) for each in fields(Common)}
        function(*args, common=Common(**taken), **values)  # type: ignore[arg-type]

    found = call
    for option in reversed(_OPTIONS):
        found = option(found)
    return found


@dataclass(frozen=True, slots=True)
class Work:
    """Where packages are written to, and with what."""

    options: Options
    common: Common
    project: Project | None
    repository: Repository
    settings: Settings
    maintainers: tuple[Maintainer, ...]
    licence: str | None
    trees: Trees
    distdir: Path

    def locked(self) -> AbstractContextManager[object]:
        """Nobody else writes into the repository for a block."""
        from cloche.autogen.lock import alone

        return nullcontext() if self.common.dry_run else alone(self.repository.path)

    def write(self, packages: Sequence[Package]) -> Sequence[Changes]:
        """Write packages, unless that is only tried; what changes."""
        from cloche.autogen.repository import all_changes, write

        found = all_changes(self.repository, packages, force=self.common.force)
        if not self.common.dry_run:
            write(self.repository.path, found)
        return found

    def finish(self, packages: Sequence[Package], found: Sequence[Changes]) -> None:
        """Print what was written, and build it if that is wanted."""
        from cloche.cli import autogen as frame

        common, project = self.common, self.project
        if common.as_json:
            click.echo(json.dumps([*map(frame.data_of, packages, found)], indent=2))
        else:
            for each in found:
                frame.show(each, dry_run=common.dry_run)
        if common.machine is not None and project is not None:
            frame.build_packages(
                self.options,
                project,
                common.machine,
                self.repository,
                self.trees,
                self.distdir,
                packages,
                fix=common.fix,
            )
        if common.pkgcheck is not None and project is not None:
            cpvs = tuple(each.ebuild.cpv for each in packages)
            check_ebuilds(self.options, project, common.pkgcheck, self.repository, cpvs)


def work(options: Options, common: Common) -> Work:
    """Open what the options name. Raises `ClocheError`, `click.UsageError`."""
    from cloche.autogen.licences import checked
    from cloche.autogen.settings import maintainer, read_settings
    from cloche.autogen.trees import Trees
    from cloche.cli import autogen as frame
    from cloche.portage.repository import found_repository

    if common.fix and common.machine is None:
        raise click.UsageError("--fix needs --build")
    if common.dry_run and (common.machine or common.pkgcheck):
        raise click.UsageError("--dry-run cannot be combined with --build or --pkgcheck")
    project = project_or_none(options)
    repository = found_repository(frame.target_of(project, common.into).absolute())
    for option, machine in (("--build", common.machine), ("--pkgcheck", common.pkgcheck)):
        if machine is not None:
            project = declaring(project, machine, repository, option)
    if common.pkgcheck is not None and project is not None:
        check_root(options, project, common.pkgcheck)
    settings = read_settings(common.config or Path("autogen.toml"))
    people = tuple(maintainer(each, Origin(Path("--maintainer"))) for each in common.people)
    places = (repository.path, *common.repos, *frame.places_of(options, project))
    return Work(
        options,
        common,
        project,
        repository,
        settings,
        people or settings.maintainers,
        checked(common.licence) if common.licence is not None else None,
        Trees(tuple(dict.fromkeys(places))),
        (common.distdir or frame.cache_directory() / "distfiles").absolute(),
    )
