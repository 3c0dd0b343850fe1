"""Repositories in the store, copied from a directory or synced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.lock import RepoPin
from cloche.config.project import Project, RepoSpec
from cloche.config.sync import Sync
from cloche.fetching.openpgp import check_requirements
from cloche.layers import commit
from cloche.portage.repository import read_repository
from cloche.portage.snapshot import fingerprint, snapshot
from cloche.store import Outcome, Pin, Store, make_key, names, remember
from cloche.trees import git, rsync, snapshots
from cloche.trees.errors import TreeDriftError, TreeError, missing_tree
from cloche.trees.methods import SyncContext, SyncMethod, SyncRequest

DIRECTORY = "directory"

_METHODS: Mapping[str, SyncMethod] = {
    "git": git,
    "rsync": rsync,
    "webrsync": snapshots,
    "squashfs": snapshots,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A synced repository: its pin, its path, and when it was stored (epoch seconds)."""

    pin: RepoPin
    path: Path
    created: float
    name: str  # of the store's pin


def find_tree(store: Store, project: Project, spec: RepoSpec) -> Taken | None:
    """The stored state of a repository: the one that is meant, the locked one, or the newest."""
    locked = _locked(project, spec)
    wanted = spec.tree or (locked.tree if locked else None)
    for found in stored_trees(store, spec):
        if wanted is None or wanted == found.pin.tree:
            return found
    return None


def stored_trees(store: Store, spec: RepoSpec) -> tuple[Taken, ...]:
    """All stored states of a declared repository, the newest first."""
    pins = sorted(store.pins(_prefix(spec)), key=lambda pin: pin.created, reverse=True)
    return tuple(_taken_of(store, pin) for pin in pins if all(map(store.has_tree, pin.trees)))


def places(store: Store, project: Project) -> Mapping[str, Path]:
    """Where each repository of a project lies. Raises `TreeError`."""
    return {name: place(store, project, spec) for name, spec in project.repos.items()}


def place(store: Store, project: Project, spec: RepoSpec) -> Path:
    """Where one repository lies. Raises `TreeError`."""
    if spec.path is not None:
        return spec.path
    found = find_tree(store, project, spec)
    if found is None:
        raise missing_tree(spec.name, locked=_locked(project, spec) is not None)
    return found.path


def pin_repository(store: Store, project: Project, spec: RepoSpec) -> RepoPin:
    """Pin a repository's content: a directory as it is now, others as stored.

    Raises `TreeError`, `RepositoryError`.
    """
    if spec.path is not None:
        return RepoPin(DIRECTORY, _directory(store, spec.name, spec.path))
    found = find_tree(store, project, spec)
    if found is None:
        raise missing_tree(spec.name, locked=_locked(project, spec) is not None)
    return found.pin


def lock_found(project: Project, spec: RepoSpec, pin: RepoPin) -> None:
    """Write the state in use to the lock, unless it has one."""
    if spec.sync is not None and spec.tree is None and _locked(project, spec) is None:
        _lock(project, spec, pin)


def sync(
    store: Store,
    project: Project,
    spec: RepoSpec,
    context: SyncContext,
    *,
    update: bool,
    lock: bool = True,
) -> tuple[Taken, bool]:
    """Sync a repository to the locked state, or with ``update`` to the newest, and lock it.

    Without ``lock`` it is only put into the store. Says whether anything was fetched. Raises
    `TreeError`, `FetchingError`, `RepositoryError`.
    """
    method, old = _way(spec), _locked(project, spec)
    pinned = None if update else old
    context.cache.mkdir(exist_ok=True)
    if pinned is not None and (there := find_tree(store, project, spec)) is not None:
        return there, False
    wanted = SyncRequest(spec.name, _sync(spec), spec.origin, pinned)
    if wanted.sync.verify and pinned is None:
        check_requirements(wanted.keyring(context))
    pin = pinned or method.newest(wanted, context)
    if old is not None and update:
        _forward(spec, old, pin)
    known = _mark(pin)
    for there in stored_trees(store, spec) if known and pinned is None else ():
        if _mark(there.pin) == known and pin.digest in ("", there.pin.digest):
            if lock:
                _lock(project, spec, there.pin)
            return there, False
    made = _made(store, wanted, pin, method, context)
    if lock:
        _lock(project, spec, made.pin)
    return made, True


def _made(
    store: Store, request: SyncRequest, pin: RepoPin, method: SyncMethod, context: SyncContext
) -> Taken:
    """Fetch a tree and store it."""
    with store.workspace("repository") as room:
        source, pin = method.taken(request, pin, room, context)
        context.report("reading and storing files")
        tree = room / "repository"
        snapshot(source, tree, consume=source.is_relative_to(room))
        read_repository(request.name, tree, request.origin)
        layer = commit(store, tree, kind="repository", label=request.name, rules={})
    pin = replace(pin, tree=layer.id)
    if request.pinned is not None and request.pinned.tree != pin.tree:
        raise TreeDriftError(request.name, _describe(request.pinned), _describe(pin))
    name = f"{_prefix_of(request.name, request.sync)}{layer.id[:12]}"
    data = {"pin": msgspec.to_builtins(pin)}
    return _taken_of(store, store.pin(name, (layer.id,), (), data))


def _way(spec: RepoSpec) -> SyncMethod:
    return _METHODS[_sync(spec).type]


def _sync(spec: RepoSpec) -> Sync:
    if spec.sync is None:
        raise ValueError(f"{spec.name} is a directory")
    return spec.sync


def _locked(project: Project, spec: RepoSpec) -> RepoPin | None:
    """The lock's entry, if it is of the declared type."""
    locked = locks.read(project.lock).repos.get(spec.name)
    same = locked is not None and spec.sync is not None and locked.type == spec.sync.type
    return locked if same else None


def _lock(project: Project, spec: RepoSpec, pin: RepoPin) -> None:
    locks.change(project.lock, lambda lock: lock_entries.with_repo(lock, spec.name, pin))


def _forward(spec: RepoSpec, old: RepoPin, new: RepoPin) -> None:
    """Refuse a mirror that is behind: an old state may have known vulnerabilities."""
    if old.type == new.type != "git" and _mark(new) and _mark(new) < _mark(old):
        raise TreeError(
            spec.name,
            f"the mirror is behind: it offers {_mark(new)}, cloche.lock has {_mark(old)}",
            todo="use another mirror; to go back on purpose, "
            f"remove [repos.{spec.name}] of cloche.lock",
        )


def _mark(pin: RepoPin) -> str:
    """What identifies a state before it is fetched; empty if nothing does."""
    return pin.commit or pin.timestamp or pin.file


def _describe(pin: RepoPin) -> str:
    return " ".join(filter(None, (_mark(pin)[:24], f"tree {pin.tree[:12]}")))


def _prefix(spec: RepoSpec) -> str:
    return _prefix_of(spec.name, _sync(spec))


def _prefix_of(name: str, sync: Sync) -> str:
    """The store's name for a repository: its own, and a digest of its declaration."""
    made_of = [sync.type, sync.uri, sync.branch, sync.verify]
    return names.declared(names.REPOSITORIES, name, made_of)


def _taken_of(store: Store, pin: Pin) -> Taken:
    found = msgspec.convert(pin.data["pin"], RepoPin)
    return Taken(found, store.tree(found.tree).path, pin.created, pin.name)


def _directory(store: Store, name: str, path: Path) -> str:
    """The id of a directory's content; an unchanged directory is not read again."""

    def take() -> Outcome:
        with store.workspace("snapshot") as workspace:
            snapshot(path, workspace / "repo")
            layer = commit(store, workspace / "repo", kind="repository", label=name, rules={})
        return Outcome({"tree": layer.id})

    key = make_key("snapshot", {"path": str(path), "fingerprint": fingerprint(path)})
    return remember(store, key, name, take).action.outputs["tree"]
