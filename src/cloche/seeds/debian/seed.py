"""Makes a Debian tree with Portage, and its lock, from a specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.config import project as config
from cloche.config.drift import seed_drift
from cloche.config.lock import DebianSeed, SdistPin, SeedLock
from cloche.sandbox.base import Engine
from cloche.seeds.arch import Arch, host_arch
from cloche.seeds.debian import bootstrap, installation, packages, portage_sdist
from cloche.seeds.debian.apt import (
    SUITE,
    Mirror,
    apt_options,
    find_mirror,
    portage_mirrors,
    without_password,
)
from cloche.seeds.debian.pip_config import PipSettings, host_settings
from cloche.seeds.debian.portage_sdist import DEFAULT_PIN
from cloche.seeds.errors import not_as_locked
from cloche.seeds.types import SeedContext, SeedRequest


@dataclass(frozen=True, slots=True)
class SeedSpec:
    """What a user asks for. ``packages`` are Debian's; those they need come along."""

    name: str = "default"
    suite: str = SUITE
    portage: SdistPin = DEFAULT_PIN
    packages: tuple[str, ...] = bootstrap.PACKAGES


@dataclass(frozen=True, slots=True)
class DebianTree:
    """A finished tree, not in the store yet, and its lock without the layer's id."""

    tree: Path
    lock: DebianSeed


@dataclass(frozen=True, slots=True)
class BootstrapContext:
    """What a seed is made with. ``log`` is appended to; ``cache`` keeps Portage's release."""

    engine: Engine
    mirror: Mirror
    cache: Path
    log: Path
    report: Callable[[str], None] = lambda text: None
    pip: PipSettings | None = None  # None: the host's


def specified(spec: config.SeedSpec) -> SeedSpec:
    """What a declaration asks for, with the defaults. Raises `SeedError`."""
    default = SeedSpec()
    version, packages = spec.text("portage"), spec.options.get("packages", ())
    extra = packages if isinstance(packages, tuple) else ()
    return SeedSpec(
        name=spec.name,
        suite=spec.text("suite") or default.suite,
        portage=portage_sdist.pin(version) if version else DEFAULT_PIN,
        packages=tuple(dict.fromkeys((*default.packages, *extra))),
    )


def make(request: SeedRequest, room: Path, context: SeedContext) -> tuple[Path, DebianSeed]:
    """Make the declared seed's tree in ``room``; see `make_tree`."""
    spec = specified(request.spec)
    mirror = find_mirror(spec.suite, mirror=context.mirror or request.spec.text("mirror"))
    own = BootstrapContext(context.engine, mirror, context.cache, context.log, context.report)
    made = make_tree(spec, room, own, locked=request.locked, update=request.update)
    _write_mirror(made.tree, mirror.uri)
    return made.tree, made.lock


def _write_mirror(tree: Path, uri: str) -> None:
    """Tell the seed's Portage where ``mirror://debian/`` is (portage(5), ``mirrors``).

    The file is not part of a layer's id: two hosts with different mirrors have the same seed.
    """
    file = tree / "etc/portage/mirrors"
    file.parent.mkdir(exist_ok=True)
    file.write_text(portage_mirrors(without_password(uri)))
    file.chmod(0o644)


def make_tree(
    spec: SeedSpec,
    room: Path,
    context: BootstrapContext,
    *,
    locked: SeedLock | None = None,
    update: bool = False,
) -> DebianTree:
    """Make a seed's tree in ``room``, an empty directory; 30 seconds and 500 MB are usual.

    With a lock the mirror has to offer just what is locked, unless ``update`` accepts what differs.
    Raises `SeedError`.
    """
    arch = host_arch()
    asked = _asked(spec, arch)
    if locked is not None and not update:
        # What was asked for is known before anything is fetched; the packages are not.
        known = replace(locked, packages=()) if isinstance(locked, DebianSeed) else locked
        _refuse(spec.name, seed_drift(known, asked))
    sdist = portage_sdist.ensure(
        spec.portage, context.cache, context.pip or host_settings(), context.report
    )
    tree, upper = room / "tree", room / "upper"
    wanted = bootstrap.Bootstrap(
        spec.suite, arch.debian, context.mirror, spec.packages, apt_options()
    )
    bootstrap.bootstrap(wanted, tree, context.log, context.report)
    actual = replace(asked, packages=tuple(packages.pinned(tree)))
    if locked is not None and not update:
        _refuse(spec.name, seed_drift(locked, actual))
    upper.mkdir()
    installation.install(context.engine, tree, upper, sdist, arch, context.log, context.report)
    return DebianTree(tree, actual)


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
        raise not_as_locked(name, differences)
