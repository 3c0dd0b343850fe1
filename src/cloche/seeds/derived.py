"""What is made of a seed that is in the store: once, and remembered by what it was made of."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from cloche.layers import Layer, commit, stored_layer
from cloche.seeds import known
from cloche.seeds.packages import STATUS, installed
from cloche.store import Action, Store


def known_layer(store: Store, seed: Layer) -> Layer | None:
    """The VDB entries for a Debian seed's build tools, as a layer to lie over the seed.

    None for a seed without dpkg's list, or with a VDB of its own. Raises BadPackageListError.
    """
    if not (seed.path / STATUS).is_file() or any((seed.path / known.VDB).glob("*/*")):
        return None
    parts = {"seed": seed.id, "rules": _digest(known.data_file()), "code": _code(known.__file__)}
    return _once(store, "seed-vdb", seed.label, parts, lambda room: _known(seed, room))


def _known(seed: Layer, room: Path) -> Path:
    packages = known.known_packages(installed(seed.path, alone=False), known.rules())
    tree = room / "vdb"
    known.write_entries(seed.path, packages, tree)
    return tree


def _once(
    store: Store,
    kind: str,
    label: str,
    parts: Mapping[str, str],
    make: Callable[[Path], Path],
) -> Layer:
    """Give the layer that ``make`` makes in a room of the store, or made before."""
    key = _digest(*(f"{part}\0{value}\0".encode() for part, value in [("", kind), *parts.items()]))
    with store.lock(f"{kind}-{key}"):
        action = store.action(key)
        if action is None:
            began = time.monotonic()
            with store.workspace(kind) as room:
                layer = commit(store, make(room), kind=kind, label=label)
            took = time.monotonic() - began
            made = {"layer": layer.id}
            action = Action(key, kind, label, dict(parts), made, took, None, time.time())
            store.record(action)
    return stored_layer(store, action.outputs["layer"])


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _code(file: str) -> str:
    return _digest(Path(file).read_bytes())
