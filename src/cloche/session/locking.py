"""Pinning all that a machine is made from in cloche.lock."""

from __future__ import annotations

from dataclasses import dataclass

from cloche.building import locking
from cloche.building.liveahead import fetch_live, live_packages
from cloche.config import lock as locks
from cloche.config.drift import inputs_drift, live_drift, packages_drift
from cloche.config.lock import LivePin, MachineLock
from cloche.config.machine import Machine
from cloche.errors import ClocheError
from cloche.session.building import prepare
from cloche.session.choices import Choices
from cloche.session.contexts import context_of
from cloche.session.opened import Opened


@dataclass(frozen=True, slots=True)
class Locked:
    """A machine's entry in the lock, how it differs from the one before, and what failed.

    ``live`` has what is pinned of the live ebuilds in the plan, by package id.
    """

    machine: MachineLock
    changes: tuple[str, ...]
    live: dict[str, LivePin | None]
    failed: tuple[ClocheError, ...] = ()


def lock(
    opened: Opened, machine: Machine, choices: Choices, *, check: bool, update: bool
) -> Locked:
    """Pin what a machine is made from; with ``check`` nothing is written."""
    file = opened.project.lock
    if not check:
        locks.check(file)
    builder = prepare(context_of(opened, machine, choices), opened.project, machine, choices)
    before = locks.read(file)
    failed = () if check else tuple(fetch_live(builder, update=update))
    inputs, packages = builder.context.inputs, builder.plan.packages
    gpkgs = locking.fetched_binpkgs(builder.context, packages)
    now = locking.locked(before, machine, inputs, packages, gpkgs)
    live = [each.id for each in live_packages(builder)]
    changes = _changes(before, now, machine.name) + live_drift(live, before, locks.read(file))
    if not check:
        locks.change(file, lambda lock: locking.locked(lock, machine, inputs, packages, gpkgs))
    pins = locks.read(file).live
    entry = now.machines[machine.name]
    return Locked(entry, tuple(changes), {id: pins.get(id) for id in live}, failed)


def _changes(before: locks.Lock, now: locks.Lock, name: str) -> list[str]:
    """What changes for a machine; all of it is new where it was not locked."""
    old, new = before.machines.get(name), now.machines[name]
    if old is None:
        return ["it was not locked before"]
    repos = {repo: now.repos[repo] for repo in new.repos}  # not those of other machines
    return inputs_drift(old, new, before.repos, repos) + packages_drift(old, new)
