"""Makes seeds: of each type by its own module, tried, stored, and written to the project's lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path

import msgspec

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.drift import interpreters_of, seed_drift
from cloche.config.project import Project, SeedSpec
from cloche.layers import commit
from cloche.sandbox.base import Emulator
from cloche.seeds import (
    directory,
    machine,
    oci,
    stage3,
    tarball,
)
from cloche.seeds.arch import arch_of, host_arch
from cloche.seeds.debian import seed as debian_seed
from cloche.seeds.errors import not_as_locked
from cloche.seeds.interpreters import emulators_in, store_interpreters
from cloche.seeds.stored import DEBIAN, Seed, StoredSeed, stored_as
from cloche.seeds.types import MadeSeed, SeedContext, SeedRequest
from cloche.seeds.validation import portage_of
from cloche.store import Store, Tree

_TYPES: Mapping[str, Callable[[SeedRequest, Path, SeedContext], tuple[Path, locks.SeedLock]]] = {
    DEBIAN: debian_seed.make,
    "stage3": stage3.make,
    "directory": directory.make,
    "tarball": tarball.make,
    "oci": oci.make,
    "machine": machine.make,
}


def bootstrap(
    store: Store,
    project: Project,
    spec: SeedSpec,
    context: SeedContext,
    *,
    update: bool = False,
) -> StoredSeed:
    """Make a seed, put it into the store, and write it to the project's lock.

    ``update`` accepts that what is offered differs from the lock. Raises SeedError.
    """
    context.cache.mkdir(exist_ok=True)
    old = locks.read(project.lock)
    before = None if update else old.seeds.get(spec.name)
    if before is not None and before.type != spec.type:
        raise not_as_locked(spec.name, (f"type {before.type} → {spec.type}",))
    programs = store_interpreters(store, spec, project.root)
    interpreters = programs.id if programs else ""
    with store.workspace("seed") as room:
        made = _made(
            SeedRequest(spec, project.root, old.seeds.get(spec.name), update),
            room,
            context,
            emulators_in(programs.path) if programs else (),
        )
        context.report("counting and storing files")
        layer = commit(store, made.tree, kind="seed", label=spec.name)
    locked = replace(made.lock, layer=layer.id)
    if not isinstance(locked, locks.DebianSeed):
        locked = replace(locked, interpreters=interpreters)
    if before is not None and (differences := seed_drift(before, locked)):
        raise not_as_locked(spec.name, differences)
    locks.change(project.lock, lambda lock: lock_entries.with_seed(lock, spec.name, locked))
    about = _described(spec.name, made, locked, store.tree(layer.id))
    data = {"about": asdict(about), "lock": msgspec.to_builtins(locked)}
    # A machine's layers are the seed's parts, as long as they are kept.
    parts = locked.layers if isinstance(locked, locks.MachineSeed) else ()
    kept = (layer.id, *parts, *((interpreters,) if interpreters else ()))
    pin = store.pin(stored_as(spec) + layer.id[:12], kept, (), data)
    return StoredSeed(about, pin.name)


def _made(
    request: SeedRequest, room: Path, context: SeedContext, emulators: tuple[Emulator, ...]
) -> MadeSeed:
    """Make a tree of any type, and see that Portage runs in it."""
    tree, locked = _TYPES[request.spec.type](request, room, context)
    if isinstance(locked, locks.DebianSeed):
        return MadeSeed(tree, locked, locked.portage.version, len(locked.packages))
    context.report("trying Portage in it")
    version = portage_of(context.engine, tree, request.spec, emulators)
    packages = sum(1 for _ in (tree / "var/db/pkg").glob("*/*"))
    return MadeSeed(tree, locked, version, packages)


def _described(name: str, made: MadeSeed, lock: locks.SeedLock, tree: Tree) -> Seed:
    """What `cloche seed list` shows of a seed."""
    arch = host_arch()
    suite = ""
    if isinstance(lock, locks.DebianSeed):
        suite = lock.suite
    elif isinstance(lock, locks.Stage3Seed):
        suite = lock.flavour
    return Seed(
        name=name,
        layer=lock.layer,
        type=lock.type,
        suite=suite,
        arch=arch_of(tree.path) or arch.gentoo,
        chost=arch.chost,
        packages=made.packages,
        portage=made.portage,
        created=tree.created,
        interpreters=interpreters_of(lock),
    )
