"""What single builds of machines held, from their records, and how two of them differ.

A record has the resolution and the layer of each package; files and sizes come from layers that the
store still has.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from cloche.config.atoms import name_of
from cloche.errors import ClocheError
from cloche.layers import Comparison, Merged, compare, compare_layers
from cloche.output.recall import decoded
from cloche.output.system import UNMERGED, System, SystemChange, changes, stored_system
from cloche.plan.depgraph import Package
from cloche.plan.visible import machine_members
from cloche.records.builds import Record, not_built, recorded_events, records
from cloche.records.events import Delivered, Done, Event, Planned
from cloche.records.history import MachineRun, machine_run
from cloche.store import Store

How = Literal["added", "removed", "changed"]
VDB = "/var/db/pkg"


@dataclass(frozen=True, slots=True)
class Held:
    """A package of a build. ``size`` is in bytes; ``layer`` is None if the store has lost it.

    ``use`` are the enabled USE flags, ``iuse`` all that the user can set. ``iuse`` is only shown
    for added packages, and is ignored when packages are compared.
    """

    cp: str
    slot: str
    version: str
    repo: str
    use: tuple[str, ...]
    layer: str | None
    size: int | None
    iuse: tuple[str, ...] = field(default=(), compare=False)

    @property
    def name(self) -> str:
        """A root has one package of each name."""
        return self.cp if self.slot == "0" else f"{self.cp}:{self.slot}"


@dataclass(frozen=True, slots=True)
class Holding:
    """One finished build of a machine: its packages by their names, in merge order.

    ``system`` is what it is besides them, None for a record of an older version; ``finish`` are the
    layers that its finish made, the bottom first. ``removed`` are packages that it unmerged.
    """

    machine: str
    run: MachineRun
    packages: Mapping[str, Held]
    system: System | None = None
    finish: tuple[str, ...] = ()
    removed: tuple[Held, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all packages that the store has."""
        return sum(each.size or 0 for each in self.packages.values())


@dataclass(frozen=True, slots=True)
class Difference:
    """How one package differs. ``use`` are flags with + or -: those that differ, or of a package
    that is added, all. ``size`` is the growth in bytes, None if a layer is not in the store.
    """

    name: str
    how: How
    before: Held | None
    after: Held | None
    use: tuple[str, ...]
    size: int | None

    @property
    def versions(self) -> str:
        """The version, or both with an arrow."""
        found = [each.version for each in (self.before, self.after) if each is not None]
        return " → ".join(dict.fromkeys(found))


def finished_builds(
    store: Store, place: str, machine: str
) -> tuple[tuple[Record, MachineRun], ...]:
    """The recorded builds of a whole machine that came to their end, the oldest first."""
    found = (
        (record, machine_run(record.number, recorded_events(store, record)))
        for record in records(store, place, machine)
    )
    return tuple((record, run) for record, run in found if run.result == "done" and not run.partial)


def ended_badly(store: Store, place: str, machine: str) -> MachineRun | None:
    """The newest recorded build of a machine, or of a part of it, if it was not finished."""
    found = records(store, place, machine)
    if not found:
        return None
    run = machine_run(found[-1].number, recorded_events(store, found[-1]))
    return None if run.result == "done" else run


def holding(store: Store, place: str, machine: str, number: int | None = None) -> Holding:
    """What a build of a machine held: the newest, or that with a number. Raises ClocheError."""
    found = finished_builds(store, place, machine)
    if not found:
        raise not_built(f"machine {machine}", f"cloche build {machine}")
    for record, run in reversed(found):
        if number in (None, record.number):
            events = recorded_events(store, record)
            system = stored_system(store, record.system)
            members = tuple(_held(store, events))
            removed = tuple(each for each in members if _is_removed(each, system or {}))
            packages = {each.name: each for each in members if each not in removed}
            finish = next((e.finish for e in reversed(events) if isinstance(e, Delivered)), ())
            return Holding(machine, run, packages, system, finish, removed)
    there = ", ".join(str(record.number) for record, _ in found)
    raise ClocheError(
        f"no finished build {number} is recorded",
        where=f"machine {machine}",
        todo=f"there is: {there}",
    )


def _is_removed(held: Held, system: System) -> bool:
    """Whether the finish of the machine unmerged a package, as it is recorded."""
    atoms = [name for name, how in system.get("removed", {}).items() if how == UNMERGED]
    return any(
        name_of(atom) == held.cp and (not atom.startswith("=") or atom.endswith(held.version))
        for atom in atoms
    )


def differing_before(store: Store, place: str, build: Holding) -> Holding:
    """The last earlier build of a machine that differs, or else the one before.

    Raises ClocheError if there is none.
    """
    found = [run.number for _, run in finished_builds(store, place, build.machine)]
    before = [number for number in reversed(found) if number < build.run.number]
    if not before:
        raise ClocheError(
            "no finished build before it is recorded",
            where=f"machine {build.machine}, build {build.run.number}",
            todo="name another machine or build to compare with",
        )
    for number in before:
        old = holding(store, place, build.machine, number)
        same = old.packages == build.packages and old.finish == build.finish
        if not same or system_differences(old, build):
            return old
    return holding(store, place, build.machine, before[0])


def _held(store: Store, events: Sequence[Event]) -> Iterator[Held]:
    planned = next((each for each in events if isinstance(each, Planned)), None)
    graph = decoded(store, planned.depgraph) if planned else None
    layers = {each.package: each.layer for each in events if isinstance(each, Done)}
    members = machine_members(graph) if graph else ()
    by_id: Mapping[str, Package] = graph.by_id() if graph else {}
    for package in (by_id[id] for id in members):
        layer = layers.get(package.id)
        there = layer is not None and store.has_tree(layer)
        yield Held(
            package.cp,
            package.slot,
            package.version,
            package.repo,
            tuple(sorted({*package.use} & {*package.iuse})),
            layer,
            store.tree(layer).size if layer is not None and there else None,
            choosable(package),
        )


def choosable(package: Package) -> tuple[str, ...]:
    """The flags of a package that its user can set: the profile fixes the others."""
    return tuple(sorted({*package.iuse} - {*package.fixed}))


def differences(before: Holding, after: Holding) -> tuple[Difference, ...]:
    """How two builds differ, by the names of packages. A pure function."""
    return between(before.packages, after.packages)


def system_differences(before: Holding, after: Holding) -> tuple[SystemChange, ...] | None:
    """How two builds differ besides their packages; None if one was recorded without that.

    A pure function.
    """
    if before.system is None or after.system is None:
        return None
    return changes(before.system, after.system)


def between(before: Mapping[str, Held], after: Mapping[str, Held]) -> tuple[Difference, ...]:
    """How two lists of packages differ, each by name. A pure function."""
    found = []
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            how: How = "added" if old is None else "removed"
            size = new.size if new is not None else _less(old)
            use = _all_flags(new) if new is not None else ()
            found.append(Difference(name, how, old, new, use, size))
        elif old != new:
            known = old.size is not None and new.size is not None
            size = (new.size or 0) - (old.size or 0) if known else None
            found.append(Difference(name, "changed", old, new, _flags(old, new), size))
    return tuple(found)


def files_of(store: Store, difference: Difference) -> Comparison | None:
    """How a package's files differ, without its VDB entry; None if the store lacks a layer.

    Of what only one side has, directories are left out.
    """
    sides = (difference.before, difference.after)
    if any(each is not None and not _is_there(store, each) for each in sides):
        return None
    with store.workspace("diff") as room:
        (room / "empty").mkdir(mode=0o755)
        old, new = (
            store.tree(each.layer).path if each is not None and each.layer else room / "empty"
            for each in sides
        )
        found = compare_layers(old, new, ignore=[VDB])
        return replace(found, only_a=_files(old, found.only_a), only_b=_files(new, found.only_b))


def finish_files(store: Store, before: Holding, after: Holding) -> Comparison | None:
    """How the files differ that the finish of two builds wrote; None if the store lacks a layer.

    What a finish removed is not among them, nor are directories of what only one side has.
    """
    sides = (before.finish, after.finish)
    if before.system is None or after.system is None:
        return None
    if not all(map(store.has_tree, (*before.finish, *after.finish))):
        return None
    old, new = ([store.tree(id).path for id in ids] for ids in sides)
    found = compare(old, new, ignore=[VDB])
    only = (_no_directories(old, found.only_a), _no_directories(new, found.only_b))
    return replace(found, only_a=only[0], only_b=only[1])


def _no_directories(trees: Sequence[Path], names: Iterable[str]) -> tuple[str, ...]:
    merged = Merged(trees)
    nodes = ((name, merged.lookup(os.fsencode(name))) for name in names)
    return tuple(name for name, node in nodes if node is None or not node.is_directory)


def _is_there(store: Store, held: Held) -> bool:
    return held.layer is not None and store.has_tree(held.layer)


def _files(tree: Path, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(each for each in names if (tree / each).is_symlink() or not (tree / each).is_dir())


def _less(held: Held | None) -> int | None:
    return -held.size if held is not None and held.size is not None else None


def _all_flags(new: Held) -> tuple[str, ...]:
    on = set(new.use) & set(new.iuse)
    off = sorted(set(new.iuse) - on)
    return (*(f"+{flag}" for flag in sorted(on)), *(f"-{flag}" for flag in off))


def _flags(old: Held, new: Held) -> tuple[str, ...]:
    on, off = set(new.use) - set(old.use), set(old.use) - set(new.use)
    return (*(f"+{flag}" for flag in sorted(on)), *(f"-{flag}" for flag in sorted(off)))
