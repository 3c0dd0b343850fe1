"""Seeds in the store: made once from what a project declares, found again by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from cloche.config import lock as locks
from cloche.config import lock_entries
from cloche.config.drift import interpreters_of
from cloche.config.project import Project, SeedSpec
from cloche.layers import Layer, stored_layer
from cloche.seeds import machine
from cloche.seeds.interpreters import store_interpreters
from cloche.seeds.parts import machine as machine_parts
from cloche.store import Store, names

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


def _of_pin(name: str, data: Any) -> StoredSeed:
    return StoredSeed(msgspec.convert(data["about"], Seed), name)
