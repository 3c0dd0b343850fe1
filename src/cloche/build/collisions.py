"""Files that two packages of one root own: Portage refuses to merge the second, and so do we.

Each package is merged over its own run-time closure, so that its merge sees nothing of a package
that it does not know. Of two that own one path the later would win in silence.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cloche.build.diagnose import installed_files
from cloche.build.errors import CollisionError
from cloche.layers import Layer
from cloche.plan.depgraph import Package

#: What make.globals gives COLLISION_IGNORE: files that may belong to several packages.
IGNORED = ("/lib/modules/*", "*.py[co]", "*$py.class", "*/dropin.cache")


@dataclass(frozen=True, slots=True)
class Owned:
    """A package's files and symbolic links, as its CONTENTS names them. ``slot`` is CP:SLOT."""

    name: str
    slot: str
    paths: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collision:
    """Two packages of different slots that own the same paths."""

    first: str
    second: str
    paths: tuple[str, ...]


def collisions(packages: Iterable[Owned], ignored: Sequence[str] = IGNORED) -> list[Collision]:
    """What any two of these packages both own, but for paths that a pattern allows.

    Another version of the same slot replaces the first one: its files are no collision.
    """
    owner: dict[str, Owned] = {}
    found: dict[tuple[str, str], list[str]] = {}
    for package in packages:
        for path in package.paths:
            other = owner.setdefault(path, package)
            if other.slot != package.slot and not is_ignored(path, ignored):
                found.setdefault((other.name, package.name), []).append(path)
    return [Collision(*names, tuple(sorted(paths))) for names, paths in found.items()]


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """As Portage matches COLLISION_IGNORE: a pattern, or all below a directory that it names."""
    return any(
        fnmatch.fnmatchcase(path, pattern) or path.startswith(f"{pattern.rstrip('/')}/")
        for pattern in patterns
    )


def ignored_by(packages: Iterable[Package]) -> tuple[str, ...]:
    """The patterns of COLLISION_IGNORE that packages have; Portage's own where none says any."""
    said = [package.environment.get("COLLISION_IGNORE") for package in packages]
    words = {word for text in said if text is not None for word in text.split()}
    return tuple(sorted(words)) if words else IGNORED


def owned(layer: Layer, package: Package, links: Mapping[str, str]) -> Owned:
    """What a package's layer says that it owns; ``links`` are those of `root_links`."""
    own = [path for cpv, path in installed_files(layer.path / "var/db/pkg") if cpv == package.cpv]
    return Owned(
        package.id,
        f"{package.cp}:{package.slot}",
        frozenset(canonical(path, links) for path in own),
    )


def check(
    machine: str, base: Sequence[Layer], packages: Sequence[Package], layers: Sequence[Layer]
) -> None:
    """Look at the members of a machine, each with its layer. Raises CollisionError."""
    links = root_links(base)
    members = [owned(layer, p, links) for p, layer in zip(packages, layers, strict=True)]
    if found := collisions(members, ignored_by(packages)):
        raise CollisionError(machine, tuple((c.first, c.second, c.paths) for c in found))


def root_links(base: Sequence[Layer]) -> dict[str, str]:
    """Symbolic links in the root directory, as on a system with a merged /usr, to their targets."""
    return {
        path.name: str(path.readlink()).strip("/")
        for layer in base
        for path in Path(layer.path).iterdir()
        if path.is_symlink()
    }


def canonical(path: str, links: Mapping[str, str]) -> str:
    """The one spelling of a path whose first part may be a link: /lib/x is /usr/lib/x."""
    _, first, *rest = PurePosixPath(path).parts
    return "/".join(("", links.get(first, first), *rest)) if rest else path
