"""Which repositories a target shares with this host, and in which state.

A state is what a sync left in the repository: a commit of git, or the time of an rsync. A small
repository without one has a digest of its files, as the client computes it.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from cloche.config.project import Project, RepoSpec
from cloche.portage.snapshot import entries
from cloche.store import Store
from cloche.targets.description import Description, RepositoryState
from cloche.trees.errors import TreeError
from cloche.trees.stored import Taken, find_tree, place, stored_trees


def shared_repositories(store: Store, project: Project, description: Description) -> Project:
    """The project with those of its repositories that the target has, and a profile needs.

    Synced ones are in the state in which the target has them, if the store has that.
    """
    needed = {description.profile.partition(":")[0], *description.repositories}
    repos = {}
    for name in project.repos.keys() & needed:
        spec, wanted = project.repos[name], description.repositories.get(name)
        same = wanted and same_state(store, spec, wanted)
        repos[name] = replace(spec, tree=same.pin.tree) if same else spec
    return replace(project, repos={name: repos[name] for name in project.repos if name in repos})


def same_state(store: Store, spec: RepoSpec, wanted: RepositoryState) -> Taken | None:
    """The stored state of a repository that a target has, by its commit or time stamp."""
    for found in stored_trees(store, spec) if spec.sync is not None else ():
        pin = found.pin
        if (wanted.commit and pin.commit == wanted.commit) or (
            wanted.timestamp and pin.timestamp == wanted.timestamp
        ):
            return found
    return None


def behind(store: Store, project: Project, description: Description) -> Iterator[str]:
    """What the target has in another state than this host, with both states."""
    for name, wanted in sorted(description.repositories.items()):
        spec = project.repos.get(name)
        if spec is None:
            continue
        if wanted.digest and wanted.digest != _digest(store, project, spec):
            yield f"{name}: the files on the target are not those of this host, which are used"
        state = wanted.commit or wanted.timestamp
        if spec.sync is None or not state or same_state(store, spec, wanted):
            continue
        found = find_tree(store, project, spec)
        ours = (found.pin.commit or found.pin.timestamp) if found else "nothing"
        yield f"{name}: the target has {state}, this host has {ours}; the latter is used"


def _digest(store: Store, project: Project, spec: RepoSpec) -> str:
    """The digest of a repository's files here; empty if it is not here."""
    try:
        return digest_of_files(place(store, project, spec))
    except TreeError:
        return ""


def digest_of_files(repository: Path) -> str:
    """The SHA-256 of what ``sha256sum`` prints for a repository's files, sorted by their paths.

    Hidden names and the metadata cache do not count, nor do symbolic links out of it.
    """
    top, whole = repository.resolve(), hashlib.sha256()
    for name in sorted(
        entry.name for entry in entries(top) if not stat.S_ISDIR(entry.status.st_mode)
    ):
        parts, file = name.split("/"), (top / name).resolve()
        hidden = any(part.startswith(".") for part in parts)
        if hidden or parts[:2] == ["metadata", "md5-cache"] or not file.is_relative_to(top):
            continue
        if file.is_file():
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            whole.update(f"{content}  {name}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
