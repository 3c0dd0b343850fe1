"""Where lists, repositories and their configuration are: in a project, or on a Gentoo system."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cloche.config import toml
from cloche.config.errors import ConfigError, Origin
from cloche.config.files import replace_text
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


def configure(place: Place, overlays: Iterable[str]) -> str | None:
    """Name the repositories to Portage or the project; what the user has to do, if anything.

    Raises `ConfigError`, OSError.
    """
    names = sorted(overlays)
    if place.project is not None:
        return _in_project(place, place.project, names)
    directory = place.root / CONF
    text = "# Written by `cloche overlay`.\n" + "".join(
        f"\n[{name}]\nlocation = {place.inside(name)}\nauto-sync = no\n" for name in names
    )
    file = directory / _CONF
    if directory.exists() and not directory.is_dir():
        unnamed = [name for name in names if name not in place.repos]
        more = ", ".join(f"[{name}] location = {place.inside(name)}" for name in unnamed)
        return f"add to {directory}: {more}" if unnamed else None
    if not names:
        file.unlink(missing_ok=True)
        return None
    if not file.exists() or file.read_text("utf-8", "replace") != text:
        directory.mkdir(parents=True, exist_ok=True)
        replace_text(file, text)
    return None


def check_writable(place: Place) -> None:
    """See that all of it can be written, before long work. Raises `ConfigError`."""
    for path in (place.lists, place.top):
        above = next(each for each in (path, *path.parents) if each.exists())
        if not os.access(above, os.W_OK):
            todo = "run it as root" if place.project is None else "use a project of yours"
            raise ConfigError(Origin(above), "cannot be written: Permission denied", todo)


def _in_project(place: Place, project: Project, names: Iterable[str]) -> str | None:
    """Declare the repositories in cloche.toml; its other lines stay as they are."""
    text = project.file.read_text("utf-8")
    known = {*project.repos}
    new = [name for name in names if name not in known]
    if new:
        tables = {name: {"path": f"{_NAME}/{name}"} for name in new}
        whole = f"{text.rstrip()}\n\n{toml.dumps({'repos': tables}).lstrip()}"
        toml.loads(whole)
        replace_text(project.file, whole)
    gone = [
        name
        for name, spec in project.repos.items()
        if spec.path is not None and spec.path.parent == place.top and name not in {*names}
    ]
    return f"remove [repos.{gone[0]}] from {project.file}" if gone else None
