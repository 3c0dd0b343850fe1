"""A seed from a machine that was built: its layers, as one tree.

So machines form a chain: what one of them builds is what the next one builds with.
"""

from __future__ import annotations

from pathlib import Path

from cloche.config.errors import ConfigError, unknown_name
from cloche.config.lock import MachineSeed
from cloche.config.machine import place_of
from cloche.config.project import FILE, SeedSpec, machines_of
from cloche.layers import flatten
from cloche.seeds.errors import SeedError, missing_file, missing_key
from cloche.seeds.types import SeedContext, SeedRequest
from cloche.store import Store, names


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, MachineSeed]:
    """Link the machine's files into one tree. Raises `SeedError`, `ConfigError`, OSError."""
    layers = layers_of(context.store, request.spec, request.root)
    if isinstance(request.pinned, MachineSeed) and request.pinned.layers != layers:
        raise changed(request.spec)
    tree = room / "tree"
    context.report(f"linking {len(layers)} layers of machine {_named(request.spec)}")
    flatten([context.store.tree(id).path for id in layers], tree)
    return tree, MachineSeed(layers)


def layers_of(store: Store, spec: SeedSpec, root: Path) -> tuple[str, ...]:
    """Ids of a machine's layers as it was built last, the bottom first.

    Raises `SeedError`, `ConfigError`.
    """
    project = (root / (spec.text("project") or ".")).resolve()
    machine = _named(spec)
    pin = store.pin_of(names.machine(place_of(project), machine))
    if pin is None or not pin.data.get("layers"):
        raise _not_built(spec, machine, project, root)
    return (*pin.data["base"], *pin.data["layers"])


def _not_built(spec: SeedSpec, machine: str, project: Path, root: Path) -> SeedError | ConfigError:
    if not (project / FILE).is_file():
        return missing_file(spec.name, "project", project / FILE)
    if machine not in (known := machines_of(project)):
        return unknown_name(spec.origin, "machine", machine, known)
    there = "" if project == root.resolve() else f" -C {project}"
    return SeedError(
        f"machine {machine} is not built",
        where=f"[seeds.{spec.name}]",
        todo=f"run `cloche{there} build {machine}` first",
    )


def check_unchanged(store: Store, spec: SeedSpec, root: Path, made_of: MachineSeed) -> None:
    """See that a seed is what its machine is now, if the machine is here. Raises `SeedError`."""
    try:
        layers = layers_of(store, spec, root)
    except (SeedError, ConfigError):  # of the machine only its layers in the lock are needed
        return
    if layers != made_of.layers:
        raise changed(spec)


def changed(spec: SeedSpec) -> SeedError:
    """The machine is not what cloche.lock pins."""
    return SeedError(
        f"machine {_named(spec)} was built again, and differs from what cloche.lock pins",
        where=f"[seeds.{spec.name}]",
        todo=f"run `cloche seed bootstrap {spec.name} --update` to take its new state",
    )


def _named(spec: SeedSpec) -> str:
    """The machine that a declaration names. Raises `SeedError`."""
    name = spec.text("machine")
    if not name:
        raise missing_key(spec.name, "machine")
    return name
