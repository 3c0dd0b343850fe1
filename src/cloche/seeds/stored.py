"""Seeds in the store: made once from what a project declares, found again by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.drift import interpreters_of, seed_drift
from cloche.config.project import Project, SeedSpec
from cloche.layers import Layer, commit, stored_layer
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
from cloche.seeds.debian.apt import find_mirror, portage_mirrors
from cloche.seeds.debian.portage_sdist import without_password
from cloche.seeds.errors import SeedError, not_as_locked
from cloche.seeds.interpreters import emulators_in, store_interpreters
from cloche.seeds.parts import machine as machine_parts
from cloche.seeds.types import MadeSeed, SeedContext, SeedRequest
from cloche.seeds.validation import portage_of
from cloche.store import Store, Tree, names

DEBIAN = "debian"


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed as it is listed. ``created`` is in seconds of the epoch; ``packages`` are dpkg's or
    those of the VDB; ``suite`` is Debian's, or the flavour of a stage3. ``interpreters`` is the id
    of the tree of its interpreters if it is for another CPU than the host's."""

    name: str
    layer: str
    type: str
    suite: str
    arch: str  # Gentoo's ARCH
    chost: str
    packages: int
    portage: str
    created: float
    interpreters: str = ""


_TYPES: Mapping[str, Callable[[SeedRequest, Path, SeedContext], tuple[Path, locks.SeedLock]]] = {
    DEBIAN: debian_seed.make,
    "stage3": stage3.make,
    "directory": directory.make,
    "tarball": tarball.make,
    "oci": oci.make,
    "machine": machine.make,
}


@dataclass(frozen=True, slots=True)
class StoredSeed:
    """A seed that is in the store, and the name of the pin that keeps it."""

    about: Seed
    pin: str

    @property
    def declaration(self) -> str:
        """Digest of what it was declared as: two seeds of one name may differ in that."""
        return self.pin.split("/")[-2]

    @property
    def layer(self) -> str:
        """Id of the seed's layer."""
        return self.about.layer


def current_seed(store: Store, project: Project, spec: SeedSpec) -> StoredSeed | None:
    """The seed of what a machine is now, if it was made before, whatever the lock has.

    Of other types only a download tells what is current. Raises SeedError.
    """
    if spec.type != "machine":
        return None
    layers = machine.layers_of(store, spec, project.root)
    programs = store_interpreters(store, spec, project.root)
    for found, made_of in _made_before(store, spec):
        is_made_of = isinstance(made_of, locks.MachineSeed) and made_of.layers == layers
        if is_made_of and found.about.interpreters == (programs.id if programs else ""):
            return found
    return None


def _made_before(store: Store, spec: SeedSpec) -> Iterator[tuple[StoredSeed, locks.SeedLock]]:
    """What is whole in the store of a declaration, the newest first."""
    pins = sorted(store.pins(stored_as(spec)), key=lambda pin: pin.created, reverse=True)
    for pin in pins:
        if all(map(store.has_tree, pin.trees)):
            yield _of_pin(pin.name, pin.data), locks.seed_of(pin.data["lock"])


def find_seed(store: Store, project: Project, spec: SeedSpec) -> StoredSeed | None:
    """The seed of a declaration, if it was made before: the locked one, else the newest.

    Raises SeedError for a machine that is not what is locked, or is not built.
    """
    locked = locks.read(project.lock).seeds.get(spec.name)
    layers = _of_machine(store, project, spec, locked) if spec.type == "machine" else None
    for found, made_of in _made_before(store, spec):
        fits = locked is None or not locked.layer or _is_locked(found, locked)
        if layers is not None:
            fits = fits and isinstance(made_of, locks.MachineSeed) and made_of.layers == layers
        if fits:
            return found
    return None


def _is_locked(found: StoredSeed, locked: locks.SeedLock) -> bool:
    return locked.layer == found.layer and interpreters_of(locked) == found.about.interpreters


def _of_machine(
    store: Store, project: Project, spec: SeedSpec, locked: locks.SeedLock | None
) -> tuple[str, ...]:
    """The layers of the machine that a seed is: those locked, else those that it has now.

    A seed of another project may have the same declaration. Raises SeedError.
    """
    if isinstance(locked, locks.MachineSeed):
        machine.check_unchanged(store, spec, project.root, locked)
        return locked.layers
    return machine.layers_of(store, spec, project.root)


def made_of(store: Store, found: StoredSeed) -> tuple[Layer, ...]:
    """The layers that a seed was linked from, the bottom first; empty if they are not its parts.

    They are if it is a machine whose own seed has no packages of Portage's. Raises OSError.
    """
    pin = store.pin_of(found.pin)
    locked = locks.seed_of(pin.data["lock"]) if pin else None
    if not isinstance(locked, locks.MachineSeed) or not all(map(store.has_tree, locked.layers)):
        return ()
    layers = tuple(stored_layer(store, id) for id in locked.layers)
    return layers if machine_parts.packages(layers) else ()


def lock_found(
    store: Store, project: Project, spec: SeedSpec, found: StoredSeed, *, update: bool = False
) -> None:
    """Write what a seed is made of to the lock of a project that has not got it yet.

    With ``update``, in place of what it has.
    """
    old, pin = locks.read(project.lock), store.pin_of(found.pin)
    if pin is not None and (update or spec.name not in old.seeds):
        locked = locks.seed_of(pin.data["lock"])
        locks.change(project.lock, lambda lock: lock_entries.with_seed(lock, spec.name, locked))


def stored_as(spec: SeedSpec) -> str:
    """The name under which the store keeps a seed: its own, and a digest of its declaration."""
    return names.declared(names.SEEDS, spec.name, [spec.type, sorted(spec.options.items())])


def stored_seeds(store: Store) -> tuple[StoredSeed, ...]:
    """All seeds of a store, by name."""
    return tuple(_of_pin(pin.name, pin.data) for pin in store.pins(names.SEEDS))


def used_by(store: Store, found: StoredSeed) -> tuple[str, ...]:
    """The machines that hold a seed: their names, with the projects they are of where known."""
    pins = (pin for pin in store.pins(names.MACHINES) if found.layer in pin.trees)
    return tuple(
        f"{pin.name.rsplit('/', 1)[-1]} ({pin.data['project']})"
        if "project" in pin.data
        else pin.name.rsplit("/", 1)[-1]
        for pin in pins
    )


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


def mirrors_now(spec: SeedSpec) -> str | None:
    """Portage's ``mirrors`` as the host's own configuration has it today; None where it has none.

    A seed carries the mirror it was made from; a host that moved to another one need not make a new
    seed.
    """
    if spec.type != DEBIAN:
        return None
    try:
        suite = debian_seed.specified(spec).suite
        mirror = find_mirror(suite, mirror=spec.text("mirror"))
    except SeedError:
        return None
    return portage_mirrors(without_password(mirror.uri))


def _of_pin(name: str, data: Any) -> StoredSeed:
    return StoredSeed(msgspec.convert(data["about"], Seed), name)
