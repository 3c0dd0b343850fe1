"""Where lists, repositories and their configuration are: in a project, or on a Gentoo system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.config import toml
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import check_writable as check_file
from cloche.config.files import read_text, replace_text
from cloche.config.project import Project
from cloche.overlays import repositories
from cloche.overlays.errors import OverlayError
from cloche.overlays.repositories import CONF, Configured
from cloche.portage.repository import main_repository
from cloche.store import Store
from cloche.trees.stored import place as place_of_repository

_NAME = "overlays"
_LISTS = "etc/overlayman/packages"
_TOP = "var/lib/overlayman"
_CONF = "overlayman.conf"


@dataclass(frozen=True, slots=True)
class Place:
    """``lists`` is the file of what is wanted, or a directory of such; ``top`` has a repository of
    each overlay. ``repos`` are the repositories that are configured, ``main`` is the main one."""

    lists: Path
    top: Path
    repos: Mapping[str, Configured]
    main: str
    root: Path
    project: Project | None = None

    def repository(self, overlay: str) -> Path:
        """Where the repository of an overlay is. Raises OverlayError."""
        path = self.top / overlay
        if path == self.lists:
            what = f"an overlay cannot be called “{overlay}” in a project: that is its list"
            raise OverlayError(what, where=self.lists, todo="take it on a Gentoo system")
        return path

    def inside(self, overlay: str) -> str:
        """The same as Portage of the system at ``root`` names it."""
        return f"/{self.repository(overlay).relative_to(self.root)}"

    def check(self, overlay: str) -> None:
        """See that no other repository has the name. Raises OverlayError."""
        there = self.repos.get(overlay)
        if there is not None and there.path.resolve() != self.repository(overlay).resolve():
            what = f"a repository of this name is configured already: {there.path}"
            raise OverlayError(what, where=there.declared, todo="use it, or remove it there")

    def others(self, overlay: str) -> Mapping[str, Configured]:
        """The configured repositories that are there, and what is configured of this one."""
        found = dict(repositories.existing(self.repos.values()))
        if overlay in self.repos:
            found[overlay] = self.repos[overlay]
        return found


def lists(root: Path, project: Path | None) -> Path:
    """The file, or directory, of what is wanted: of a project, or of the system at ``root``."""
    return project / _NAME / "packages" if project else root / _LISTS


def top(root: Path, project: Path | None) -> Path:
    """The directory of the repositories."""
    return project / _NAME if project else root / _TOP


def of_project(project: Project, store: Store) -> Place:
    """The place of a project. Raises ClocheError if one of its repositories is not synced."""
    found = {}
    for name, spec in project.repos.items():
        path = place_of_repository(store, project, spec)
        uri = spec.sync.uri if spec.sync and spec.sync.type == "git" else ""
        found[name] = Configured(name, path, project.file, spec.priority, (), uri)
    main = main_repository(project.repos, next(iter(found), ""))
    where = project.root, project.root
    return Place(lists(*where), top(*where), found, main, project.root, project)


def of_system(root: Path) -> Place:
    """The place of a Gentoo system. Raises `ConfigError`."""
    found, main = repositories.of_system(root)
    return Place(lists(root, None), top(root, None), found, main, root)


@dataclass(frozen=True, slots=True)
class Configuration:
    """What names the repositories: files with their new texts, None for one that goes.

    ``todo`` is what is left for the user to do, if anything.
    """

    texts: Mapping[Path, str | None]
    todo: str | None = None

    def write(self) -> None:
        """Write it. Raises `ConfigError`, OSError."""
        for file, text in self.texts.items():
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                replace_text(file, text)


def configuration(place: Place, overlays: Iterable[str]) -> Configuration:
    """How the repositories are named to Portage or the project. Raises `ConfigError`."""
    names = sorted(overlays)
    if place.project is not None:
        return _in_project(place, place.project, names)
    directory = place.root / CONF
    if directory.exists() and not directory.is_dir():
        unnamed = [name for name in names if name not in place.repos]
        more = ", ".join(f"[{name}] location = {place.inside(name)}" for name in unnamed)
        return Configuration({}, f"add to {directory}: {more}" if unnamed else None)
    file = directory / _CONF
    old = read_text(file, place.root) if file.exists() else ""
    text = repositories.rewritten(old, {name: place.inside(name) for name in names}, place.inside)
    return Configuration({file: text} if (text or "") != old else {})


def check_writable(place: Place) -> None:
    """See that all of it can be written, before long work. Raises `ConfigError`."""
    conf = place.project.file if place.project else place.root / CONF / _CONF
    for path in (place.lists, place.top, conf):
        if path.is_file():
            check_file(path)
            continue
        above = next(each for each in (path, *path.parents) if each.exists())
        if not os.access(above, os.W_OK):
            todo = "run it as root" if place.project is None else "use a project of yours"
            raise ConfigError(Origin(above), "cannot be written: Permission denied", todo)


def _in_project(place: Place, project: Project, names: Iterable[str]) -> Configuration:
    """Declare the repositories in cloche.toml; its other lines stay as they are."""
    old = text = read_text(project.file, project.root)
    declared = _read(text, project).get("repos", {})  # now, which may be later than `project`
    gone = [
        name
        for name, spec in project.repos.items()
        if spec.path is not None and spec.path.parent == place.top and name not in {*names}
    ]
    left = []
    for name in gone:
        shorter = text.replace(f"\n{_table(name)}", "", 1)
        if _without(_read(text, project), name) == _without(_read(shorter, project), ""):
            text = shorter
        else:
            left.append(name)  # somebody wrote it otherwise
    for name in names:
        if name not in declared:
            text = f"{text.rstrip()}\n\n{_table(name)}"
    _read(text, project)
    tables = ", ".join(f"[repos.{name}]" for name in left)
    todo = f"remove {tables} from {project.file}" if left else None
    return Configuration({project.file: text} if text != old else {}, todo)


def _table(name: str) -> str:
    return toml.dumps({"repos": {name: {"path": f"{_NAME}/{name}"}}}).lstrip()


def _without(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a cloche.toml says, but for one repository."""
    repos = {key: each for key, each in data.get("repos", {}).items() if key != name}
    return {**data, "repos": repos}


def _read(text: str, project: Project) -> Mapping[str, Any]:
    """What a new cloche.toml says. Raises `ConfigError`."""
    try:
        return toml.loads(text)
    except ValueError as error:
        what = f"[repos.OVERLAY] cannot be added: {error}"
        todo = "write `repos` as tables of their own, [repos.NAME]"
        raise ConfigError(Origin(project.file), what, todo) from error
