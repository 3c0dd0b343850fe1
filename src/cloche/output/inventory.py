"""What finished machines hold, from their layers and their recorded resolutions; builds nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from cloche.composing.footprint import contents, footprint
from cloche.composing.places import Places, look_into
from cloche.layers import Layer, Merged, stored_layer
from cloche.output.recall import decoded
from cloche.plan.depgraph import Depgraph, Package
from cloche.plan.names import is_pattern, matching
from cloche.plan.visible import machine_members
from cloche.records import elog
from cloche.store import Pin, Store, names

KINDS = {"obj": "file", "sym": "symlink", "dir": "directory", "fif": "fifo", "dev": "device"}


@dataclass(frozen=True)
class Inventory:
    """A finished machine: its resolution, its layers and its members, in merge order.

    ``place`` identifies its project. ``lowers`` are all layers of its root, the bottom first;
    ``layers`` those of its packages.
    """

    place: str
    machine: str
    graph: Depgraph
    packages: tuple[Package, ...]
    lowers: tuple[Layer, ...]
    layers: Mapping[str, Layer]

    @cached_property
    def places(self) -> Places:
        """Where paths lead in its root."""
        return Places(look_into(self.lowers))


Row = dict[str, Any]
"""One line of an answer, as ``--json`` writes it."""


def inventories(store: Store, place: str | None, machine: str | None) -> tuple[Inventory, ...]:
    """The finished machines of a project (of all projects without ``place``), by name.

    One that lacks its resolution is left out. ``machine`` is the only one that is wanted.
    """
    pins = store.pins(names.machine(place, "") if place is not None else names.MACHINES)
    wanted = [pin for pin in pins if machine in (None, pin.data.get("machine"))]
    found = (_inventory(store, pin) for pin in wanted if pin.data.get("layers"))
    return tuple(sorted((each for each in found if each is not None), key=lambda e: e.machine))


def _inventory(store: Store, pin: Pin) -> Inventory | None:
    graph = decoded(store, pin.data.get("depgraph"))
    if not graph.packages:
        return None
    members = set(machine_members(graph))
    base, above = ([stored_layer(store, id) for id in pin.data[key]] for key in ("base", "layers"))
    own = {layer.label: layer for layer in above if layer.kind == "package"}
    finish = [layer.path for layer in above if layer.kind == "finish"]
    packages = tuple(
        package
        for package in graph.packages
        if package.id in members and not _is_removed(package, own, finish)
    )
    place = names.place_of(pin.name)
    return Inventory(place, str(pin.data["machine"]), graph, packages, (*base, *above), own)


def _is_removed(package: Package, own: Mapping[str, Layer], finish: Sequence[Path]) -> bool:
    """Whether the layers of a finish took a package out of the root."""
    if not finish or package.cpv not in own:
        return False
    merged = Merged((own[package.cpv].path, *finish))
    return merged.lookup(os.fsencode(f"var/db/pkg/{package.cpv}")) is None


def chosen(held: Inventory, atom: str | None) -> tuple[Package, ...]:
    """Its members that an atom, perhaps with wildcards, means; all without one."""
    if atom is None:
        return held.packages
    names = set(matching(atom, [package.id for package in held.packages]))
    return tuple(package for package in held.packages if package.id in names)


def messages(store: Store, held: Inventory, atom: str | None) -> Iterator[Row]:
    """What ebuilds said to their users when these packages were built and merged."""
    for package in chosen(held, atom):
        layer = held.layers[package.cpv].id
        for step, message in elog.messages_for(store, package, {"layer": layer}):
            yield {**_of(held, package), "step": step, **msgspec.to_builtins(message)}


def files(held: Inventory, atom: str) -> Iterator[Row]:
    """What packages own, by their CONTENTS."""
    for package in chosen(held, atom):
        for kind, name in contents(held.layers[package.cpv].path, package.cpv):
            yield {**_of(held, package), "path": f"/{name}", "type": KINDS[kind]}


def belongs(held: Inventory, path: str) -> Iterator[Row]:
    """The packages that own a path, or whose hooks wrote it (``how``)."""
    wanted = os.path.normpath(path).strip("/")
    same = _by_pattern(wanted) if is_pattern(wanted) else _by_place(held, wanted)
    for package in held.packages:
        layer = held.layers[package.cpv]
        found = footprint(layer)
        owned = {name for _, name in contents(layer.path, package.cpv)}
        for how, own in (("owned", owned), ("written by a hook", found.written)):
            for name in sorted(filter(same, own)):
                yield {**_of(held, package), "path": f"/{name}", "how": how}


def _by_pattern(pattern: str) -> Callable[[str], bool]:
    return lambda name: fnmatchcase(name, pattern)


def _by_place(held: Inventory, wanted: str) -> Callable[[str], bool]:
    """A name counts that leads to the same place, through any links."""
    last, real = wanted.rpartition("/")[2], held.places.place(wanted).real
    return lambda name: (
        name == wanted
        or (
            real is not None
            and name.rpartition("/")[2] == last
            and held.places.place(name).real == real
        )
    )


def uses(held: Inventory, flag: str) -> Iterator[Row]:
    """The packages that have a USE flag, and whether it is on."""
    for package in held.packages:
        for name in package.iuse:
            if fnmatchcase(name, flag):
                yield {**_of(held, package), "flag": name, "enabled": name in package.use}


def depends(held: Inventory, atom: str) -> Iterator[Row]:
    """What depends on packages, those that were only built with included."""
    names = set(matching(atom, [package.id for package in held.graph.packages]))
    members = {package.id for package in held.packages}
    for package in held.graph.packages:
        for edge in package.edges:
            if edge.to in names and edge.to != package.id:
                yield {
                    **_of(held, package),
                    "needs": edge.to,
                    "atom": edge.atom,
                    "kinds": list(edge.kinds),
                    "member": package.id in members,
                }


def listed(held: Inventory, atom: str | None) -> Iterator[Row]:
    """Its packages, with slot and USE."""
    for package in chosen(held, atom):
        yield {
            **_of(held, package),
            "slot": f"{package.slot}/{package.sub_slot}",
            "use": list(package.use),
            "requested": package.requested,
        }


def sizes(store: Store, held: Inventory, atom: str | None) -> Iterator[Row]:
    """Bytes and number of files of each package's layer, the largest first."""
    rows = []
    for package in chosen(held, atom):
        tree = store.tree(held.layers[package.cpv].id)
        rows.append({**_of(held, package), "size": tree.size, "files": tree.files})
    yield from sorted(rows, key=lambda row: -row["size"])


def known(all_held: Sequence[Inventory]) -> tuple[str, ...]:
    """Ids of all packages of some machines' resolutions."""
    return tuple({package.id for held in all_held for package in held.graph.packages})


def _of(held: Inventory, package: Package) -> Row:
    return {"machine": held.machine, "package": package.id}
