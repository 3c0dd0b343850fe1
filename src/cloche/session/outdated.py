"""What a sync of the repositories would change, machine by machine; nothing is pinned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cloche.building.advisories import Advisory, advisories
from cloche.building.context import BuildContext
from cloche.config.lock import RepoPin
from cloche.config.project import Project
from cloche.errors import ClocheError
from cloche.output.recall import resolution_before
from cloche.output.remembered import finished_machine
from cloche.plan.changes import changed_since
from cloche.plan.depgraph import Depgraph, Package
from cloche.plan.visible import machine_members
from cloche.session.building import prepare
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.inputs import SyncOptions, sync_repository
from cloche.session.opened import Opened
from cloche.trees.stored import find_tree, stored_trees


@dataclass(frozen=True, slots=True)
class Moved:
    """A repository whose newest state is not the one in use."""

    name: str
    before: RepoPin | None
    after: RepoPin


@dataclass(frozen=True, slots=True)
class Changed:
    """A package that would change. ``status`` has emerge's letters, or "D": removed."""

    cp: str
    slot: str
    status: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Outdated:
    """What would change in a machine, and advisories that concern it now."""

    machine: str
    changes: tuple[Changed, ...]
    advisories: tuple[Advisory, ...]


Found = tuple[tuple[Moved, ...], dict[str, Outdated | ClocheError]]
"""The repositories that a sync changes, and for each machine what changes or why it is unknown."""


def all_outdated(
    opened: Opened, machines: Sequence[str], how: SyncOptions, *, offline: bool
) -> Found:
    """Compare machines with the newest states. Raises ClocheError where these cannot be had."""
    project, moved = newest(opened, how, offline=offline)
    found: dict[str, Outdated | ClocheError] = {}
    for name in machines:
        try:
            found[name] = outdated(opened, project, name, moved=bool(moved))
        except ClocheError as error:
            found[name] = error
    return moved, found


def newest(opened: Opened, how: SyncOptions, *, offline: bool) -> tuple[Project, tuple[Moved, ...]]:
    """The project as it would be after a sync, and the repositories that would change.

    Newest states get into the store, but not into cloche.lock. ``offline``: only those that are in
    the store count. Raises ClocheError.
    """
    project, store = opened.project, opened.store
    repos, moved = dict(project.repos), []
    for spec in project.repos.values():
        if spec.sync is None or spec.tree is not None:
            continue
        used = find_tree(store, project, spec)
        if offline:
            there = stored_trees(store, spec)
            after = there[0].pin if there else None
        else:
            wanted = replace(how, update=True, lock=False)
            after = sync_repository(store, project, spec, wanted).taken.pin
        if after is not None:
            repos[spec.name] = replace(spec, tree=after.tree)
            if used is None or used.pin.tree != after.tree:
                moved.append(Moved(spec.name, used.pin if used else None, after))
    return replace(project, repos=repos), tuple(moved)


def outdated(opened: Opened, project: Project, machine: str, *, moved: bool) -> Outdated:
    """Compare a machine's plan with that in ``project``, whose repositories ``moved`` or not.

    Advisories are about the machine as it was built last, or else as it would be built now. Raises
    ClocheError.
    """
    context, graph = _planned(replace(opened, project=project), machine)
    now = _planned(opened, machine)[1] if moved else graph
    wanted = project.machine(machine)
    pin = finished_machine(opened.store, wanted)
    layers = [context.layer(id) for id in pin.data["layers"]] if pin else []
    built = resolution_before(opened.store, wanted)
    old, new = _members(built if built.packages else now), _members(graph)
    return Outdated(machine, changes(now, graph), advisories(context, layers, old, new))


def _planned(opened: Opened, machine: str) -> tuple[BuildContext, Depgraph]:
    """How a machine would be built with a project's repositories."""
    choices = Choices(offline=True)
    wanted = opened.project.machine(machine)
    context = context_of(opened, wanted, choices)
    return context, prepare(context, opened.project, wanted, choices).plan.graph


def changes(before: Depgraph, after: Depgraph) -> tuple[Changed, ...]:
    """How the members of a machine change; a pure function."""
    old, new = _members(before), _members(after)
    known = changed_since(after, before, frozenset())
    found = []
    for package in new:
        change = known[package.id]
        if change.status:
            was = next((each.version for each in old if _same(each, package)), None)
            found.append(Changed(package.cp, package.slot, change.status, was, package.version))
    there = {(each.cp, each.slot) for each in new}
    found += [
        Changed(package.cp, package.slot, "D", package.version, None)
        for package in old
        if (package.cp, package.slot) not in there
    ]
    return tuple(sorted(found, key=lambda each: (each.cp, each.slot)))


def _members(graph: Depgraph) -> Sequence[Package]:
    by_id = graph.by_id()
    return [by_id[id] for id in machine_members(graph)]


def _same(one: Package, other: Package) -> bool:
    return (one.cp, one.slot) == (other.cp, other.slot)
