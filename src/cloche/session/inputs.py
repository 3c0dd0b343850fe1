"""Bringing in what machines are made from: seeds, repositories, indexes of package hosts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloche.binhosts import index as binhosts
from cloche.config import lock as locks
from cloche.config.binrepos import BinrepoSpec
from cloche.config.project import Project, RepoSpec, SeedSpec
from cloche.errors import ClocheError
from cloche.fetching.download import Progress, quiet
from cloche.sandbox.base import Engine
from cloche.seeds.errors import SeedError, unknown_seed
from cloche.seeds.stored import StoredSeed, current_seed, find_seed, lock_found
from cloche.seeds.types import SeedContext
from cloche.store import Store
from cloche.trees.errors import unknown_repository
from cloche.trees.methods import SyncContext
from cloche.trees.stored import Taken
from cloche.trees.stored import sync as sync_tree

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True)
class Progressing:
    """Callbacks for the progress of long operations: steps, a program's own status, and bytes."""

    report: Say = silent
    status: Say = silent
    bytes: Progress = quiet


@dataclass(frozen=True, slots=True)
class SeedOptions:
    """How a seed is made. ``mirror`` and ``keyring`` go before what is declared.

    ``update`` takes what is newer than cloche.lock has; ``force`` makes it again although it is
    there.
    """

    mirror: str | None = None
    keyring: Path | None = None
    update: bool = False
    force: bool = False
    progress: Progressing = Progressing()


@dataclass(frozen=True, slots=True)
class MadeSeed:
    """A seed that is in the store; ``new`` says whether this call made it."""

    seed: StoredSeed
    new: bool


def declared_seed(project: Project, name: str | None) -> SeedSpec:
    """The seed of that name, or the only one. Raises `SeedError`."""
    if name is None and len(project.seeds) == 1:
        return next(iter(project.seeds.values()))
    if name is None and project.seeds:
        raise SeedError(f"name one of the seeds: {', '.join(project.seeds)}")
    if name is None or name not in project.seeds:
        raise unknown_seed(name or "", project.seeds)
    return project.seeds[name]


def make_seed(
    store: Store, engine: Engine, project: Project, spec: SeedSpec, how: SeedOptions
) -> MadeSeed:
    """Make a declared seed, unless it is there; it is written to cloche.lock in both cases."""
    from cloche.seeds.making import bootstrap

    if (made := _seed_here(store, project, spec, how)) is not None:
        return MadeSeed(made, new=False)
    locks.check(project.lock)
    context = SeedContext(
        engine=engine,
        store=store,
        cache=store.downloads,
        log=store.logs / f"seed-{spec.name}.log",
        mirror=how.mirror,
        keyring=how.keyring.absolute() if how.keyring else None,
        report=how.progress.report,
        progress=how.progress.bytes,
    )
    with store.lock(f"seed-{spec.name}", _waiting(how.progress)):
        # Another process may have made it while this one waited.
        if (made := _seed_here(store, project, spec, how)) is not None:
            return MadeSeed(made, new=False)
        return MadeSeed(bootstrap(store, project, spec, context, update=how.update), new=True)


def _seed_here(
    store: Store, project: Project, spec: SeedSpec, how: SeedOptions
) -> StoredSeed | None:
    if how.force:
        return None
    made = (current_seed if how.update else find_seed)(store, project, spec)
    if made is not None:
        lock_found(store, project, spec, made, update=how.update)
    return made


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a repository is taken: the newest state with ``update``, else the locked one.

    Without ``lock`` the lock stays as it is.
    """

    mirror: str | None = None
    keyring: Path | None = None
    update: bool = False
    progress: Progressing = Progressing()
    lock: bool = True


@dataclass(frozen=True, slots=True)
class Synced:
    """A repository that is in the store; ``new`` says whether this call brought it."""

    taken: Taken
    new: bool


def declared_repository(project: Project, name: str) -> RepoSpec:
    """The repository of that name. Raises `RepositoryError`."""
    if name not in project.repos:
        raise unknown_repository(name, project.repos)
    return project.repos[name]


def sync_repository(store: Store, project: Project, spec: RepoSpec, how: SyncOptions) -> Synced:
    """Take a repository, as it is locked or the newest state."""
    if spec.sync is None:
        raise ClocheError(f"{spec.name} is a directory: there is nothing to sync")
    context = SyncContext(
        cache=store.downloads,
        mirror=how.mirror,
        keyring=how.keyring.absolute() if how.keyring else None,
        report=how.progress.report,
        status=how.progress.status,
        progress=how.progress.bytes,
    )
    with store.lock(f"repo-{spec.name}", _waiting(how.progress)):
        found = sync_tree(store, project, spec, context, update=how.update, lock=how.lock)
        return Synced(*found)


def sync_index(
    store: Store, project: Project, spec: BinrepoSpec, how: SyncOptions
) -> binhosts.Binhost:
    """Take the index of a binary package host."""
    with store.lock(f"binrepo-{spec.name}", _waiting(how.progress)):
        return binhosts.sync(store, project, spec, update=how.update, progress=how.progress.bytes)


def _waiting(progress: Progressing) -> Callable[[], None]:
    return lambda: progress.report("another cloche process is doing this: waiting")
