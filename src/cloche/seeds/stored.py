"""Seeds in the store: made once from what a project declares, found again by it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from cloche.config import lock as locks
from cloche.config.drift import seed_drift
from cloche.config.project import Project, SeedSpec
from cloche.engines.base import Engine
from cloche.layers import commit
from cloche.seeds import seed as making
from cloche.seeds.errors import SeedDriftError, SeedError, UnknownTypeError
from cloche.seeds.portage_sdist import DEFAULT_PIN, without_password
from cloche.seeds.portage_sdist import pin as sdist_pin
from cloche.seeds.sources import find_mirror, portage_mirrors
from cloche.seeds.strict import strict_overlay
from cloche.store import Store

PREFIX = "seed/"


@dataclass(frozen=True, slots=True)
class StoredSeed:
    """A seed that is in the store: the ids of its layer and of what hides all but a toolchain."""

    about: making.Seed
    strict: str
    pin: str

    @property
    def declaration(self) -> str:
        """Digest of what it was declared as: two seeds of one name may differ in that."""
        return self.pin.split("/")[-2]

    @property
    def layer(self) -> str:
        """Id of the seed's layer."""
        return self.about.layer


def find_seed(store: Store, project: Project, spec: SeedSpec) -> StoredSeed | None:
    """The seed of a declaration, if it was made before: the locked one, else the newest."""
    locked = locks.read(project.lock).seeds.get(spec.name)
    pins = sorted(store.pins(_prefix(spec)), key=lambda pin: pin.created, reverse=True)
    for pin in pins:
        found = _of_pin(pin.name, pin.data)
        fits = locked is None or not locked.layer or locked.layer == found.layer
        if fits and all(store.has_tree(tree) for tree in pin.trees):
            return found
    return None


def lock_found(store: Store, project: Project, spec: SeedSpec, found: StoredSeed) -> None:
    """Write what a seed is made of to the lock of a project that has not got it yet."""
    old, pin = locks.read(project.lock), store.pin_of(found.pin)
    if pin is not None and spec.name not in old.seeds:
        locked = locks.seed_of(pin.data["lock"])
        locks.write(project.lock, locks.with_seed(old, spec.name, locked))


def _prefix(spec: SeedSpec) -> str:
    """The name under which the store keeps a seed: its own, and a digest of its declaration."""
    made_of = msgspec.json.encode([spec.type, sorted(spec.options.items())])
    return f"{PREFIX}{spec.name}/{hashlib.sha256(made_of).hexdigest()[:12]}/"


def stored_seeds(store: Store) -> tuple[StoredSeed, ...]:
    """All seeds of a store, by name."""
    return tuple(_of_pin(pin.name, pin.data) for pin in store.pins(PREFIX))


def used_by(store: Store, found: StoredSeed) -> tuple[str, ...]:
    """The machines that hold a seed: their names, with the projects they are of where known."""
    pins = (pin for pin in store.pins("machine/") if found.layer in pin.trees)
    return tuple(
        f"{pin.name.rsplit('/', 1)[-1]} ({pin.data['project']})"
        if "project" in pin.data
        else pin.name.rsplit("/", 1)[-1]
        for pin in pins
    )


def bootstrap(
    store: Store,
    engine: Engine,
    project: Project,
    spec: SeedSpec,
    *,
    mirror: str | None = None,
    update: bool = False,
    report: Callable[[str], None] = lambda text: None,
) -> StoredSeed:
    """Make a seed, put it into the store, and write it to the project's lock.

    ``update`` accepts that the mirror offers other packages than the lock has. Raises SeedError.
    """
    wanted = _making_spec(spec)
    means = making.Means(
        engine=engine,
        mirror=find_mirror(wanted.suite, mirror=mirror or spec.text("mirror")),
        cache=store.path / "downloads",
        log=store.logs / f"seed-{spec.name}.log",
        report=report,
    )
    means.cache.mkdir(exist_ok=True)
    old = locks.read(project.lock)
    with store.workspace("seed") as room:
        made = making.make_tree(wanted, room, means, locked=old.seeds.get(spec.name), update=update)
        _write_mirror(made.tree, means.mirror.uri)
        report("counting and storing files")
        hidden = _strict_tree(made.tree, room)
        layer = commit(store, made.tree, kind="seed", label=spec.name)
        strict = commit(store, hidden, kind="strict", label=spec.name)
    locked = replace(made.lock, layer=layer.id)
    before = old.seeds.get(spec.name)
    if before is not None and not update and (differences := seed_drift(before, locked)):
        raise SeedDriftError(spec.name, tuple(differences))
    locks.write(project.lock, locks.with_seed(old, spec.name, locked))
    about = making.described(spec.name, locked, store.tree(layer.id).created)
    data = {
        "about": asdict(about),
        "strict": strict.id,
        "lock": msgspec.to_builtins(locked),
    }
    pin = store.pin(_prefix(spec) + layer.id[:12], (layer.id, strict.id), (), data)
    return StoredSeed(about, strict.id, pin.name)


def mirrors_now(spec: SeedSpec) -> str | None:
    """Portage's ``mirrors`` as the host's own configuration has it today; None where it has none.

    A seed carries the mirror it was made from; a host that moved to another one need not make a new
    seed.
    """
    try:
        mirror = find_mirror(_making_spec(spec).suite, mirror=spec.text("mirror"))
    except SeedError:
        return None
    return portage_mirrors(without_password(mirror.uri))


def _making_spec(spec: SeedSpec) -> making.SeedSpec:
    if spec.type != making.DEBIAN:
        raise UnknownTypeError(spec.name, spec.type, (making.DEBIAN,))
    default = making.SeedSpec()
    version, packages = spec.text("portage"), spec.options.get("packages", ())
    extra = packages if isinstance(packages, tuple) else ()
    return making.SeedSpec(
        name=spec.name,
        suite=spec.text("suite") or default.suite,
        portage=sdist_pin(version) if version else DEFAULT_PIN,
        packages=tuple(dict.fromkeys((*default.packages, *extra))),
    )


def _write_mirror(tree: Path, uri: str) -> None:
    """Tell the seed's Portage where ``mirror://debian/`` is (portage(5), ``mirrors``).

    The file is no part of a layer's id: two hosts with different mirrors have the same seed.
    """
    file = tree / "etc/portage/mirrors"
    file.parent.mkdir(exist_ok=True)
    file.write_text(portage_mirrors(without_password(uri)))
    file.chmod(0o644)


def _strict_tree(tree: Path, room: Path) -> Path:
    """The whiteouts of strict mode, over a finished tree."""
    hidden = room / "strict"
    hidden.mkdir()
    strict_overlay(tree, hidden)
    return hidden


def _of_pin(name: str, data: Any) -> StoredSeed:
    return StoredSeed(msgspec.convert(data["about"], making.Seed), data["strict"], name)
