"""What is made of a seed that is in the store: once, and remembered by what it was made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from cloche.layers import Layer, commit, flatten, layer_of, stored_layer
from cloche.layers.parts import commit_parts
from cloche.seeds.debian import broot, perl_modules, provided, versions
from cloche.seeds.debian.packages import Installed, has_vdb, installed, is_debian
from cloche.seeds.debian.perl_modules import PERL, perl_virtuals
from cloche.seeds.debian.provided import Provided
from cloche.seeds.errors import SeedError
from cloche.seeds.parts import (
    contents,
    machine,
    ownership,
    splitting,
    strict,
)
from cloche.seeds.parts.strict import SeedParts
from cloche.store import Outcome, Store, make_key, remember, walk


def provided_layer(store: Store, seed: Layer, *, whole: bool = False) -> Layer | None:
    """The VDB entries for a Debian seed's build tools, as a layer to lie over the seed.

    ``whole``: for all of the seed, as it counts for a machine with a root of its own. None for a
    seed without dpkg's list, or with a VDB of its own. Raises SeedError.
    """
    if not is_debian(seed.path) or has_vdb(seed.path):
        return None
    files, modules = [provided.data_file()], [provided, perl_modules, versions]
    if whole:
        files.append(provided.data_file(provided.DATA_BROOT))
        modules.append(broot)
    parts = {"seed": seed.id, "rules": _digest(*files), "code": _code(*modules)}
    return _once(store, "seed-vdb", seed.label, parts, lambda room: _provided(seed, room, whole))


def _provided(seed: Layer, room: Path, whole: bool) -> Path:
    tree = room / "vdb"
    known = _stand_ins(seed, installed(seed.path, alone=False), whole=whole)
    provided.write_entries(seed.path, known, tree)
    return tree


def _stand_ins(seed: Layer, packages: Sequence[Installed], *, whole: bool) -> tuple[Provided, ...]:
    """Gentoo's names for what a Debian seed has."""
    if whole:
        found = broot.broot_packages(seed.path, packages)
    else:
        found = provided.provided_packages(packages, provided.rules())
    if any(package.name == PERL for package in packages):
        found += tuple(perl_virtuals(seed.path))
    return found


def parts_of(
    store: Store, seed: Layer, report: Callable[[str], None] = lambda _: None
) -> dict[str, Layer]:
    """The seed in parts, each a layer, by the names of its packages and `REST`.

    Together, in any order, they are the seed. ``report`` is called where it has to be split first,
    which takes seconds. Raises SeedError and OSError.
    """
    code = _code(contents, ownership, splitting)
    parts = {"seed": seed.id, "code": code}

    def make() -> Mapping[str, str]:
        report(f"splitting the seed {seed.label} into its packages, once: {seed.files:,} files")
        entries = walk(seed.path)
        owned = ownership.owned_by_package(seed.path, entries)
        divided = splitting.divided(entries, owned)
        with store.workspace("split") as room:
            made = commit_parts(store, seed.path, divided, kind="seed-part", room=room)
        return {name: layer.id for name, layer in made.items()}

    outputs = _remembered(store, "split", seed.label, parts, make)
    trees = {tree.id: tree for tree in store.trees()}
    return {name: layer_of(trees[id]) for name, id in outputs.items()}


def strict_parts(
    store: Store,
    seed: Layer,
    installed_needs: Mapping[str, tuple[str, ...]],
    report: Callable[[str], None] = lambda _: None,
    *,
    whole: bool = False,
    made_of: Sequence[Layer] = (),
) -> SeedParts:
    """The seed as strict builds see it.

    ``installed_needs`` are the packages of its VDB with what they need at run time, as Portage has
    them; ``report`` as with `parts_of`, ``whole`` as with `provided_layer`. ``made_of`` are the
    layers of a machine that the seed was linked from. Raises SeedError for a seed with neither a
    VDB nor dpkg's lists, and OSError.
    """
    if made_of:
        return _of_machine(store, seed, made_of, installed_needs)
    parts = parts_of(store, seed, report)
    if len(parts) == 1:
        raise SeedError(
            f"the seed {seed.label} cannot be used with --strict",
            todo="build without --strict, or with a seed that has a VDB or dpkg's lists",
        )
    needs: Mapping[str, Iterable[str]] = installed_needs
    toolchain = strict.gentoo_toolchain(parts)
    if vdb := provided_layer(store, seed, whole=whole):
        entries = parts_of(store, vdb)
        parts = {**{name: entries[name] for name in entries if name != splitting.REST}, **parts}
        packages = installed(seed.path, alone=False)
        stand_ins = _stand_ins(seed, packages, whole=whole)
        needs = strict.debian_needs(packages, stand_ins)
        toolchain = strict.debian_toolchain(packages, stand_ins, _sorted(needs))
    return strict.in_parts(
        parts, toolchain, _sorted(needs), lambda ground: _ground(store, seed, ground)
    )


def _of_machine(
    store: Store, seed: Layer, layers: Sequence[Layer], needs: strict.Needs
) -> SeedParts:
    """A machine's layers as the parts of the seed that was linked from them."""
    parts = machine.packages(layers)
    kept = strict.closure(strict.gentoo_toolchain(parts), needs)
    hidden = [name for name in parts if name not in kept]

    def make() -> Outcome:
        with store.workspace("strict") as room:
            tree = machine.link_ground(layers, hidden, room)
            ground = commit(store, tree, kind="strict", label=seed.label)
        names = {name: machine.names_of(layer) for name, layer in parts.items()}
        covers = machine.covers(names, parts.keys() - set(hidden))
        return Outcome({"layer": ground.id}, data={"covers": covers})

    made_of = {
        "layers": " ".join(layer.id for layer in layers),
        "hidden": " ".join(hidden),
        "code": _code(machine),
    }
    done = remember(store, make_key("strict", made_of), seed.label, make).action
    covers = {name: tuple(above) for name, above in done.data["covers"].items()}
    above = {name: (*needs.get(name, ()), *more) for name, more in covers.items()}
    shown = strict.closure(hidden, covers)
    return SeedParts(
        stored_layer(store, done.outputs["layer"]),
        {name: layer for name, layer in parts.items() if name in shown},
        {**needs, **above},
        tuple(layer.id for layer in layers if layer.kind != "package" or layer.label in kept),
    )


def _sorted(needs: Mapping[str, Iterable[str]]) -> strict.Needs:
    return {name: tuple(sorted(needed)) for name, needed in needs.items()}


def _ground(store: Store, seed: Layer, parts: Mapping[str, Layer]) -> Layer:
    """Parts merged into one layer."""

    def make(room: Path) -> Path:
        flatten([layer.path for layer in parts.values()], room / "ground")
        return room / "ground"

    made_of = {name: layer.id for name, layer in parts.items()}
    return _once(store, "strict", seed.label, made_of, make)


def _once(
    store: Store,
    kind: str,
    label: str,
    parts: Mapping[str, str],
    make: Callable[[Path], Path],
) -> Layer:
    """Give the layer that ``make`` makes in a room of the store, or made before."""

    def run() -> Mapping[str, str]:
        with store.workspace(kind) as room:
            return {"layer": commit(store, make(room), kind=kind, label=label).id}

    return stored_layer(store, _remembered(store, kind, label, parts, run)["layer"])


def _remembered(
    store: Store,
    kind: str,
    label: str,
    parts: Mapping[str, str],
    make: Callable[[], Mapping[str, str]],
) -> Mapping[str, str]:
    """The trees that ``make`` made of these inputs, now or before, by name."""
    done = remember(store, make_key(kind, parts), label, lambda: Outcome(make()))
    return done.action.outputs


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(content)
    return digest.hexdigest()


def _code(*modules: ModuleType) -> str:
    """What this room's code is, on which the outcome depends."""
    return _digest(*(Path(str(module.__file__)).read_bytes() for module in modules))
