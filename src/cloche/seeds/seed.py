"""The way through this room: from a specification to a tree and its lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.config.drift import seed_drift
from cloche.config.lock import DebianSeed, SdistPin, SeedLock
from cloche.engines.base import Engine
from cloche.seeds import debian, packages, portage_sdist, prepare
from cloche.seeds.arch import ARCHES, Arch, host_arch
from cloche.seeds.errors import SeedDriftError
from cloche.seeds.pip_config import PipSettings, host_settings
from cloche.seeds.portage_sdist import DEFAULT_PIN
from cloche.seeds.sources import Mirror, apt_options

DEBIAN = "debian"


@dataclass(frozen=True, slots=True)
class SeedSpec:
    """What a user asks for. ``packages`` are Debian's; those they need come along."""

    name: str = "default"
    suite: str = "bookworm"
    portage: SdistPin = DEFAULT_PIN
    packages: tuple[str, ...] = debian.PACKAGES


@dataclass(frozen=True, slots=True)
class Seed:
    """A seed in the store, as it is listed. ``created`` is in seconds of the epoch."""

    name: str
    layer: str
    type: str
    suite: str
    arch: str  # Gentoo's ARCH
    chost: str
    packages: int
    portage: str
    created: float


@dataclass(frozen=True, slots=True)
class Made:
    """A finished tree, not in the store yet, and its lock without the layer's id."""

    tree: Path
    lock: DebianSeed


@dataclass(frozen=True, slots=True)
class Means:
    """What a seed is made with. ``log`` is appended to; ``cache`` keeps Portage's release."""

    engine: Engine
    mirror: Mirror
    cache: Path
    log: Path
    report: Callable[[str], None] = lambda text: None
    pip: PipSettings | None = None  # None: the host's


def make_tree(
    spec: SeedSpec,
    room: Path,
    means: Means,
    *,
    locked: SeedLock | None = None,
    update: bool = False,
) -> Made:
    """Make a seed's tree in ``room``, an empty directory; 30 seconds and 500 MB are usual.

    With a lock the mirror has to offer just what is locked, unless ``update`` accepts what differs.
    Raises `SeedDriftError` and the other errors of this room.
    """
    arch = host_arch()
    asked = _asked(spec, arch)
    if locked is not None and not update:
        # What was asked for is known before anything is fetched; the packages are not.
        known = replace(locked, packages=()) if isinstance(locked, DebianSeed) else locked
        _refuse(spec.name, seed_drift(known, asked))
    sdist = portage_sdist.ensure(
        spec.portage, means.cache, means.pip or host_settings(), means.report
    )
    tree, upper = room / "tree", room / "upper"
    wanted = debian.Bootstrap(spec.suite, arch.debian, means.mirror, spec.packages, apt_options())
    debian.bootstrap(wanted, tree, means.log, means.report)
    actual = replace(asked, packages=tuple(packages.pinned(tree)))
    if locked is not None and not update:
        _refuse(spec.name, seed_drift(locked, actual))
    upper.mkdir()
    prepare.prepare(means.engine, tree, upper, sdist, arch, means.log, means.report)
    return Made(tree, actual)


def _asked(spec: SeedSpec, arch: Arch) -> DebianSeed:
    """The part of a lock that the specification decides."""
    return DebianSeed(
        suite=spec.suite,
        arch=arch.debian,
        include=tuple(sorted(spec.packages)),
        portage=spec.portage,
        packages=(),
    )


def _refuse(name: str, differences: list[str]) -> None:
    if differences:
        raise SeedDriftError(name, tuple(differences))


def described(name: str, lock: DebianSeed, created: float) -> Seed:
    """What `cloche seed list` shows of a locked seed."""
    arch = _arch(lock.arch)
    return Seed(
        name=name,
        layer=lock.layer,
        type=lock.type,
        suite=lock.suite,
        arch=arch.gentoo,
        chost=arch.chost,
        packages=len(lock.packages),
        portage=lock.portage.version,
        created=created,
    )


def _arch(name: str) -> Arch:
    return next((arch for arch in ARCHES.values() if arch.debian == name), Arch(name, name, ""))
