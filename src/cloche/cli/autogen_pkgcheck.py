"""The option --pkgcheck of the commands of autogen: its machine is checked first, and used last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cloche.cli.options import Options, opened_session, say
from cloche.display.text import count, one_line
from cloche.errors import ClocheError, Exit
from cloche.plan.names import cp_of

if TYPE_CHECKING:
    from cloche.autogen.findings import Finding
    from cloche.config.project import Project
    from cloche.portage.repository import Repository


def declaring(
    project: Project | None, machine: str, repository: Repository, option: str
) -> Project:
    """The project, if it has the machine and declares the repository.

    Raises `click.UsageError`, `ClocheError`.
    """
    if project is None:
        raise click.UsageError(f"{option} needs a project")
    project.machine(machine)
    own = {repo.path.resolve() for repo in project.repos.values() if repo.path is not None}
    if repository.path.resolve() not in own:
        what = f"{repository.path} is not a repository of the project"
        raise click.BadParameter(f"{what}: add it to cloche.toml", param_hint=option)
    return project


def check_root(options: Options, project: Project, machine: str) -> None:
    """Check that a machine is built and has pkgcheck. Raises `ClocheError`."""
    from cloche.autogen import pkgcheck

    with opened_session(options, project, machine) as session:
        pkgcheck.check_root(session, machine)


def findings_in(
    options: Options,
    project: Project,
    machine: str,
    repository: Repository,
    cpvs: Sequence[str],
) -> Sequence[Finding]:
    """What a machine's pkgcheck finds in the packages of these ebuilds. Raises `ClocheError`."""
    from cloche.autogen import pkgcheck

    with opened_session(options, project, machine) as session:
        return pkgcheck.scan(session, machine, repository.name, sorted({*map(cp_of, cpvs)}))


def check_ebuilds(
    options: Options, project: Project, machine: str, repository: Repository, cpvs: Sequence[str]
) -> None:
    """Print pkgcheck's findings. Raises `ClocheError` if one of them is an error."""
    found = findings_in(options, project, machine, repository, cpvs)
    for each in found:
        say(one_line(str(each)))
    errors = sum(each.is_error for each in found)
    others = count(len(found) - errors, "other finding")
    say(f"pkgcheck: {count(errors, 'error')}, {others}")
    if errors:
        raise ClocheError(
            "pkgcheck found errors",
            where=f"repository {repository.name}",
            todo="fix them in your own lines of the ebuilds, or in the repository",
            status=Exit.FAILED,
        )
