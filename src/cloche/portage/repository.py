"""Ebuild repositories on the host's disk: their names, masters and profiles.

Sources: PMS 4 (tree layout), portage(5) for ``metadata/layout.conf``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import ConfigError, Origin, nearest
from cloche.config.files import read_text
from cloche.config.machine import Machine
from cloche.config.project import Project, RepoSpec

# Files that make a directory below profiles/ a profile.
_PROFILE_MARKS: Final = ("parent", "make.defaults", "eapi", "packages")


class RepositoryError(ConfigError):
    """An ebuild repository that cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Repository:
    """An ebuild repository. ``masters`` None: not declared, so the main repository (portage(5))."""

    name: str
    path: Path
    masters: tuple[str, ...] | None
    eapi: str
    layout: Mapping[str, str]


def read_layout(text: str) -> Mapping[str, str]:
    """The ``key = value`` lines of a layout.conf."""
    lines = (line.split("#", 1)[0].partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, equals, value in lines if equals}


def read_repository(name: str, path: Path, declared: Origin | None = None) -> Repository:
    """Read a repository's own files; ``name`` is its name in cloche.toml, at ``declared``.

    Raises `RepositoryError`, and `ConfigError` for unreadable files.
    """
    origin = declared or Origin(path)
    own_name, layout = _named(path, origin, name)
    profiles = path / "profiles"
    if own_name != name:
        raise RepositoryError(
            origin,
            f"the repository calls itself “{own_name}”, cloche.toml calls it “{name}”",
            f"write [repos.{own_name}] in cloche.toml, or change the repository's name",
        )
    eapi_file = profiles / "eapi"
    eapi = read_text(eapi_file, path).strip() if eapi_file.exists() else "0"
    masters = tuple(layout["masters"].split()) if "masters" in layout else None
    return Repository(name, path, masters, eapi, layout)


def found_repository(path: Path) -> Repository:
    """Read a repository by its path, under the name that it has itself. Raises as above."""
    name, _ = _named(path, Origin(path), path.name)
    return read_repository(name, path)


def _named(path: Path, origin: Origin, name: str) -> tuple[str, Mapping[str, str]]:
    """The name of a repository, and its layout.conf; ``name`` is one that it may have."""
    if not path.is_dir():
        raise RepositoryError(origin, f"no such directory: {path}", "correct the path")
    if not (path / "profiles").is_dir():
        raise RepositoryError(
            origin, f"{path} is not an ebuild repository: it has no profiles/", "correct the path"
        )
    layout_file = path / "metadata" / "layout.conf"
    layout = read_layout(read_text(layout_file, path)) if layout_file.exists() else {}
    name_file = path / "profiles/repo_name"
    own = read_text(name_file, path).split() if name_file.exists() else []
    own_name = layout.get("repo-name") or (own[0] if own else "")
    if not own_name:
        raise RepositoryError(
            Origin(name_file), "the repository has no name", f"write “{name}” into this file"
        )
    return own_name, layout


def main_repository(repos: Mapping[str, RepoSpec], profile_repo: str) -> str:
    """The name of the main repository: the marked one, ``gentoo``, or the profile's."""
    marked = [name for name, spec in repos.items() if spec.main]
    return marked[0] if marked else "gentoo" if "gentoo" in repos else profile_repo


def load_repositories(
    project: Project, machine: Machine, places: Mapping[str, Path]
) -> Mapping[str, Repository]:
    """All repositories of a project, masters resolved, and the machine's profile checked.

    ``places`` says where each of them lies. Raises `RepositoryError`.
    """
    main = main_repository(project.repos, machine.profile.repo)
    found: dict[str, Repository] = {}
    for name, spec in project.repos.items():
        repo = read_repository(name, places[name], spec.origin)
        masters = repo.masters
        if masters is None:
            masters = () if name == main else (main,)
        for master in masters:
            if master not in project.repos:
                raise RepositoryError(
                    spec.origin,
                    f"repository “{name}” has the master “{master}”, which is not declared",
                    f"add [repos.{master}] with its path to cloche.toml",
                )
        found[name] = Repository(name, repo.path, masters, repo.eapi, repo.layout)
    check_profile(found[machine.profile.repo], machine.profile.path, machine.profile.origin)
    return found


@dataclass(frozen=True, slots=True, order=True)
class Profile:
    """A profile by its path below ``profiles/``; ARCH and status as profiles.desc has them
    (PMS 4.4.4), empty without such a file."""

    path: str
    arch: str = ""
    status: str = ""


def profiles_of(repository: Repository) -> tuple[Profile, ...]:
    """The profiles of a repository that a machine may name, sorted: those in profiles.desc.

    Without such a file, every directory that looks like a profile.
    """
    top = repository.path / "profiles"
    described = top / "profiles.desc"
    if described.exists():
        rows = (
            line.split("#", 1)[0].split()
            for line in read_text(described, repository.path).splitlines()
        )
        found = {Profile(row[1], row[0], row[2]) for row in rows if len(row) >= 3}
    else:
        found = {
            Profile(str(mark.parent.relative_to(top)))
            for name in _PROFILE_MARKS
            for mark in top.rglob(name)
            if mark.parent != top
        }
    return tuple(sorted(found))


def check_profile(repository: Repository, path: str, origin: Origin) -> None:
    """Raise `RepositoryError` unless the repository has the profile."""
    top = (repository.path / "profiles").resolve()
    directory = (top / path).resolve()
    inside = directory.is_relative_to(top) and directory != top
    if not inside or not any((directory / mark).exists() for mark in _PROFILE_MARKS):
        known = [profile.path for profile in profiles_of(repository)]
        close = nearest(path, known)
        meant = f"did you mean “{repository.name}:{close}”? " if close else ""
        there_is = f"there is: {', '.join(known[:10])}" if known else "it has none"
        raise RepositoryError(
            origin, f"repository “{repository.name}” has no profile “{path}”", meant + there_is
        )
