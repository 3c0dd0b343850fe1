"""``cloche.lock``: what each seed is made of, to the byte.

It names packages, versions and digests, and no host: where a package comes from is each host's own
affair. Tables of other rooms in the same file are kept as they are.
"""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from cloche.seeds import toml
from cloche.seeds.errors import BadLockError
from cloche.seeds.packages import Package
from cloche.seeds.portage_sdist import SdistPin

VERSION = 1


@dataclass(frozen=True, slots=True)
class SeedLock:
    """One seed, pinned: ``include`` was asked for, ``packages`` is what came of it.

    ``layer`` is its id in the store. Both ``layer`` and ``include`` are empty where not known.
    """

    type: str
    suite: str
    arch: str
    portage: SdistPin
    packages: tuple[Package, ...]
    include: tuple[str, ...] = ()
    layer: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """The whole file: the seeds by name, and ``rest``, the top-level tables of others."""

    seeds: Mapping[str, SeedLock] = field(default_factory=dict)
    rest: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Ours:
    """Our part of the file, so that the parser's words name the place from its top on."""

    seeds: dict[str, SeedLock]


def parse(text: str, file: Path) -> Lock:
    """Read the text of a lock. Raises `BadLockError`."""
    try:
        data = tomllib.loads(text)
        version = data.pop("version", None)
        if version != VERSION:
            raise ValueError(f"version {version!r}, this cloche knows {VERSION}")
        ours = msgspec.convert({"seeds": data.pop("seeds", {})}, _Ours)
    except (ValueError, msgspec.ValidationError) as problem:
        raise BadLockError(file, str(problem)) from problem
    return Lock(ours.seeds, data)


def render(lock: Lock) -> str:
    """The text of a lock; equal locks have equal texts."""
    seeds = {name: _table(lock.seeds[name]) for name in sorted(lock.seeds)}
    rest = {name: lock.rest[name] for name in sorted(lock.rest)}
    return toml.dumps({"version": VERSION, "seeds": seeds, **rest})


def _table(seed: SeedLock) -> dict[str, Any]:
    return {
        "type": seed.type,
        "suite": seed.suite,
        "arch": seed.arch,
        "layer": seed.layer,
        "include": sorted(seed.include),
        "portage": {"version": seed.portage.version, "sha256": seed.portage.sha256},
        "packages": [
            {"name": p.name, "version": p.version, "arch": p.arch, "sha256": p.sha256}
            for p in sorted(seed.packages)
        ],
    }


def read(file: Path) -> Lock:
    """The lock in ``file``; an empty one where there is none. Raises `BadLockError`."""
    try:
        return parse(file.read_text(encoding="utf-8"), file)
    except FileNotFoundError:
        return Lock()
    except UnicodeDecodeError as problem:
        raise BadLockError(file, str(problem)) from problem


def write(file: Path, lock: Lock) -> None:
    """Replace ``file`` in one step; untouched when it says the same already."""
    text = render(lock)
    if file.is_file() and file.read_text(encoding="utf-8", errors="replace") == text:
        return
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=file.parent, prefix=f".{file.name}.", delete=False
    ) as scratch:
        try:
            scratch.write(text)
            scratch.flush()
            os.fchmod(scratch.fileno(), 0o644)
            os.fsync(scratch.fileno())
            Path(scratch.name).rename(file)
        except BaseException:
            Path(scratch.name).unlink(missing_ok=True)
            raise


def with_seed(lock: Lock, name: str, seed: SeedLock) -> Lock:
    """The lock with one seed put in or replaced."""
    return Lock({**lock.seeds, name: seed}, lock.rest)


def drift(locked: SeedLock, actual: SeedLock) -> list[str]:
    """What differs, one line each; what one of them does not know is not compared."""
    return list(_drift(locked, actual))


def _drift(locked: SeedLock, actual: SeedLock) -> Iterator[str]:
    for name in ("type", "suite", "arch"):
        before, now = getattr(locked, name), getattr(actual, name)
        if before != now:
            yield f"{name} {before} → {now}"
    if locked.portage != actual.portage:
        yield from _change(
            "Portage",
            (locked.portage.version, locked.portage.sha256),
            (actual.portage.version, actual.portage.sha256),
        )
    asked = set(locked.include) ^ set(actual.include)
    for name in sorted(asked if locked.include and actual.include else ()):
        yield f"{name} is {'no longer ' if name in locked.include else ''}asked for"
    old = {(package.name, package.arch): package for package in locked.packages}
    new = {(package.name, package.arch): package for package in actual.packages}
    for key in sorted(old.keys() | new.keys()):
        before, now = old.get(key), new.get(key)
        if before is None and now is not None:
            yield f"{now.name} {now.version} is new"
        elif now is None and before is not None:
            yield f"{before.name} {before.version} is gone"
        elif before is not None and now is not None and before != now:
            yield from _change(now.name, (before.version, before.sha256), (now.version, now.sha256))
    if locked.layer and actual.layer and locked.layer != actual.layer:
        yield f"layer {locked.layer[:12]} → {actual.layer[:12]}"


def _change(name: str, before: tuple[str, str], now: tuple[str, str]) -> Iterator[str]:
    if before[0] != now[0]:
        yield f"{name} {before[0]} → {now[0]}"
    else:
        yield f"{name} {now[0]} with other content"
