"""Differences between the present state and the lock, one line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cloche.config.lock import (
    DebianPackage,
    DebianSeed,
    LivePin,
    Lock,
    MachineLock,
    MachineSeed,
    RepoPin,
    SeedLock,
    Stage3Seed,
    TreeSeed,
)


def seed_drift(locked: SeedLock, actual: SeedLock) -> list[str]:
    """The differences between two seeds; unknown values are not compared."""
    return list(_seed(locked, actual))


def _seed(locked: SeedLock, actual: SeedLock) -> Iterator[str]:
    if locked.type != actual.type:
        yield f"type {locked.type} → {actual.type}"
        return
    if isinstance(locked, DebianSeed) and isinstance(actual, DebianSeed):
        yield from _debian(locked, actual)
    elif isinstance(locked, Stage3Seed) and isinstance(actual, Stage3Seed):
        yield from _stage3(locked, actual)
    elif isinstance(locked, TreeSeed) and isinstance(actual, TreeSeed):
        yield from _known("digest", locked.digest, actual.digest)
    elif isinstance(locked, MachineSeed) and isinstance(actual, MachineSeed):
        yield from _machine(locked, actual)
    yield from _known("layer", locked.layer, actual.layer)
    yield from _known("interpreters", interpreters_of(locked), interpreters_of(actual))


def interpreters_of(seed: SeedLock) -> str:
    """The id of the tree of a seed's interpreters; empty if it is for the host's CPU."""
    return "" if isinstance(seed, DebianSeed) else seed.interpreters


def _machine(locked: MachineSeed, actual: MachineSeed) -> Iterator[str]:
    if changed := len(set(locked.layers) ^ set(actual.layers)):
        yield f"{changed} of the machine's layers"
    elif locked.layers != actual.layers:
        yield "the order of the machine's layers"


def _known(name: str, before: str, now: str) -> Iterator[str]:
    """Two digests that are known and differ, shortened."""
    if before and now and before != now:
        yield f"{name} {before[:12]} → {now[:12]}"


def _debian(locked: DebianSeed, actual: DebianSeed) -> Iterator[str]:
    if locked.suite != actual.suite:
        yield f"suite {locked.suite} → {actual.suite}"
    if locked.arch != actual.arch:
        yield f"arch {locked.arch} → {actual.arch}"
    if locked.portage != actual.portage:
        yield _change(
            "Portage",
            (locked.portage.version, locked.portage.sha256),
            (actual.portage.version, actual.portage.sha256),
        )
    asked = set(locked.include) ^ set(actual.include)
    for name in sorted(asked if locked.include and actual.include else ()):
        yield f"{name} is {'no longer ' if name in locked.include else ''}asked for"
    yield from _packages(locked.packages, actual.packages)


def _packages(
    locked: tuple[DebianPackage, ...], actual: tuple[DebianPackage, ...]
) -> Iterator[str]:
    old = {(package.name, package.arch): package for package in locked}
    new = {(package.name, package.arch): package for package in actual}
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if before is None and now is not None:
            yield f"{now.name} {now.version} is new"
        elif now is None and before is not None:
            yield f"{before.name} {before.version} is gone"
        elif before is not None and now is not None and before != now:
            yield _change(now.name, (before.version, before.sha256), (now.version, now.sha256))


def _stage3(locked: Stage3Seed, actual: Stage3Seed) -> Iterator[str]:
    if locked.arch != actual.arch:
        yield f"arch {locked.arch} → {actual.arch}"
    if locked.flavour != actual.flavour:
        yield f"flavour {locked.flavour} → {actual.flavour}"
    if locked.file != actual.file:
        yield f"file {locked.file} → {actual.file}"
    elif any(actual.digests.get(name, value) != value for name, value in locked.digests.items()):
        yield f"{actual.file} with other content"


def _change(name: str, before: tuple[str, str], now: tuple[str, str]) -> str:
    if before[0] != now[0]:
        return f"{name} {before[0]} → {now[0]}"
    return f"{name} {now[0]} with other content"


def inputs_drift(
    locked: MachineLock,
    actual: MachineLock,
    locked_repos: Mapping[str, RepoPin],
    repos: Mapping[str, RepoPin],
) -> list[str]:
    """The differences of a machine's inputs: seed, profile, configuration, repositories."""
    lines = [
        f"{name} {before} → {now}"
        for name in ("seed", "profile")
        if (before := getattr(locked, name)) != (now := getattr(actual, name))
    ]
    lines += config_drift(locked, actual)
    if locked.binrepos != actual.binrepos:
        before, now = (" ".join(each.binrepos) or "none" for each in (locked, actual))
        lines.append(f"binary package hosts {before} → {now}")
    lines += [f"the repository {name} is new" for name in sorted(repos.keys() - set(locked.repos))]
    lines += [f"the repository {name} is gone" for name in sorted(set(locked.repos) - repos.keys())]
    for name in sorted(repos.keys() & set(locked.repos)):
        if name not in locked_repos or not locked_repos[name].tree:
            lines.append(f"the repository {name} is in use and has no tree in the lock")
        else:
            lines += _known(f"repository {name}", locked_repos[name].tree, repos[name].tree)
    return lines


def config_drift(locked: MachineLock, actual: MachineLock) -> list[str]:
    """The difference of configurations that are known."""
    return list(_known("configuration", locked.config, actual.config))


def packages_drift(locked: MachineLock, actual: MachineLock) -> list[str]:
    """The differences of resolutions: packages, and the files that they are made from."""
    before, now = set(locked.packages), set(actual.packages)
    lines = [f"{name} is new" for name in sorted(now - before)]
    lines += [f"{name} is gone" for name in sorted(before - now)]
    old = {file.name: file for file in locked.distfiles}
    new = {file.name: file for file in actual.distfiles}
    lines += [f"the file {name} is new" for name in sorted(new.keys() - old.keys())]
    lines += [f"the file {name} is gone" for name in sorted(old.keys() - new.keys())]
    both = sorted(new.keys() & old.keys())
    lines += [f"the file {name} has another digest" for name in both if new[name] != old[name]]
    was = {pin.path: pin for pin in locked.binpkgs}
    binpkgs = {pin.path: pin for pin in actual.binpkgs}
    lines += [f"the binary package {name} is new" for name in sorted(binpkgs.keys() - was.keys())]
    lines += [f"the binary package {name} is gone" for name in sorted(was.keys() - binpkgs.keys())]
    return lines + [
        f"the binary package {name} has another digest"
        for name in sorted(was.keys() & binpkgs.keys())
        if was[name].size != binpkgs[name].size
        or (binpkgs[name].sha256 and was[name].sha256 != binpkgs[name].sha256)
    ]


def live_drift(packages: Iterable[str], locked: Lock, actual: Lock) -> list[str]:
    """The differences of pinned live sources; ``packages`` are the ids of a machine's packages."""
    lines = []
    for package in packages:
        before, now = locked.live.get(package), actual.live.get(package)
        if now is None:
            lines.append(f"the sources of {package} are not pinned")
        elif before is None:
            lines.append(f"{package} at {_commits(now)} is new")
        elif before.identity != now.identity:
            lines.append(f"{package} {_commits(before)} → {_commits(now)}")
    return lines


def _commits(pin: LivePin) -> str:
    if "tree" in pin.identity:
        return f"tree {pin.tree[:12]}"
    return ", ".join(each.commit[:12] for each in pin.commits)
