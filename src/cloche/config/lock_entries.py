"""Adds and replaces entries of a lock, and removes those that are no longer declared."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import replace

from cloche.config.lock import BinrepoPin, LivePin, Lock, MachineLock, RepoPin, SeedLock


def undeclared(
    lock: Lock,
    seeds: Container[str],
    repos: Container[str],
    binrepos: Container[str],
    machines: Collection[str],
) -> tuple[Lock, list[str]]:
    """The lock without what a project no longer declares, and the removed entries in words.

    The sources of a live ebuild are removed if all machines are locked, and none has the package.
    """
    gone = [f"the seed {name}" for name in lock.seeds if name not in seeds]
    gone += [f"the repository {name}" for name in lock.repos if name not in repos]
    gone += [f"the binary package host {name}" for name in lock.binrepos if name not in binrepos]
    gone += [f"the machine {name}" for name in lock.machines if name not in machines]
    entries = {name: each for name, each in lock.machines.items() if name in machines}
    packages = {package for each in entries.values() for package in each.packages}
    live = {
        name: pin
        for name, pin in lock.live.items()
        if name in packages or len(entries) < len(machines)
    }
    gone += [f"the live ebuild {name}" for name in lock.live if name not in live]
    left = Lock(
        {name: seed for name, seed in lock.seeds.items() if name in seeds},
        {name: repo for name, repo in lock.repos.items() if name in repos},
        entries,
        {name: pin for name, pin in lock.binrepos.items() if name in binrepos},
        live,
    )
    return left, sorted(f"{text} is no longer declared" for text in gone)


def with_seed(lock: Lock, name: str, seed: SeedLock) -> Lock:
    """The lock with one seed put in or replaced."""
    return replace(lock, seeds={**lock.seeds, name: seed})


def with_repo(lock: Lock, name: str, repo: RepoPin) -> Lock:
    """The lock with one repository put in or replaced."""
    return replace(lock, repos={**lock.repos, name: repo})


def with_binrepo(lock: Lock, name: str, pin: BinrepoPin) -> Lock:
    """The lock with one binary package host put in or replaced."""
    return replace(lock, binrepos={**lock.binrepos, name: pin})


def with_live(lock: Lock, package: str, pin: LivePin) -> Lock:
    """The lock with the sources of one live ebuild put in or replaced."""
    return replace(lock, live={**lock.live, package: pin})


def with_machine(
    lock: Lock,
    name: str,
    machine: MachineLock,
    repos: Mapping[str, RepoPin],
    binrepos: Mapping[str, BinrepoPin],
) -> Lock:
    """The lock with one machine and all its inputs put in or replaced."""
    return replace(
        lock,
        machines={**lock.machines, name: machine},
        repos={**lock.repos, **repos},
        binrepos={**lock.binrepos, **binrepos},
    )
