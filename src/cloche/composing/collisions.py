"""File collisions: Portage refuses to merge a package over files of another one, and so do we.

Each package is merged over its own run-time closure, and its merge does not see other packages.
This applies Portage's rules to the whole root: ``dblink._collision_protect`` with
FEATURES=protect-owned, which is Portage's default.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cloche.composing.footprint import contents
from cloche.composing.places import Look, Places
from cloche.errors import ClocheError, Exit
from cloche.layers import Layer
from cloche.plan.depgraph import Package

SHOWN = 3  # files that an error's one line names


class CollisionError(ClocheError):
    """Packages cannot be in one root; ``found`` has (one, other, paths) for each pair.

    They own the same files, or one has a file or link where the other has a directory. emerge
    refuses to merge the second one. ``root`` is "machine NAME", or the id of the package that is
    built there.
    """

    status = Exit.FAILED

    def __init__(self, root: str, found: Sequence[tuple[str, str, Sequence[str]]]) -> None:
        first, second, paths = found[0]
        rest = len(paths) - SHOWN
        files = ", ".join(paths[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        more = f" ({len(found) - 1} more such pairs)" if len(found) > 1 else ""
        pairs = (f"{a} and {b}:\n  " + "\n  ".join(paths) for a, b, paths in found)
        super().__init__(
            f"file collision of {first} and {second}: {files}{more}",
            where=root,
            todo="leave one of them out, or mask its files with INSTALL_MASK in package.env",
            detail="\n".join(pairs) if more or rest > 0 else None,
        )


#: COLLISION_IGNORE of make.globals: files that may belong to several packages.
IGNORED = ("/lib/modules/*", "*.py[co]", "*$py.class", "*/dropin.cache")


@dataclass(frozen=True, slots=True)
class Owned:
    """The names that a package owns, as in its CONTENTS. ``slot`` is CP:SLOT.

    ``kinds`` gives the kind of each name: "obj", "sym", "dir", "dev" or "fif".
    """

    name: str
    slot: str
    kinds: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Collision:
    """Paths of a package that collide with ``other``, which is empty if no package owns them."""

    other: str
    paths: tuple[str, ...]


def collisions(
    package: Owned,
    others: Iterable[Owned],
    look: Look,
    ignored: Sequence[str] = IGNORED,
) -> list[Collision]:
    """Why Portage would refuse to merge a package over a root of ``others``; empty if it would not.

    Another version of the same slot is replaced: its files do not collide. The others are only
    read if something is in the way.
    """
    places = Places(look)
    files = {name: kind for name, kind in package.kinds.items() if kind in ("obj", "sym")}
    taken_by = {name: taken for name in files if (taken := _taken(places, name)) is not None}
    if not taken_by:
        return []
    rivals = [other for other in others if other.slot != package.slot]
    found: dict[str, set[str]] = {}
    refused = False
    for name, taken in taken_by.items():
        there = places.place(taken).real
        onto = places.look(there) if there is not None else None
        blocked = files[name] == "sym" and taken == name and onto and onto.kind == "directory"
        if not blocked and is_ignored(f"/{taken}", ignored):
            continue
        owners = [other.name for other in rivals if _owns(other, there, places)]
        refused |= bool(blocked or owners)
        for owner in owners or ([""] if blocked else []):
            found.setdefault(owner, set()).add(f"/{taken}")
    return [Collision(o, tuple(sorted(p))) for o, p in found.items()] if refused else []


def _taken(places: Places, name: str) -> str | None:
    """The path at which something is in the way of a file: its own, or one above it."""
    place = places.place(name)
    if place.real is None:
        return place.blocked
    return name if places.look(place.real) is not None else None


def _owns(package: Owned, real: str | None, places: Places) -> bool:
    """Whether one of the package's names leads to that path."""
    if real is None:
        return False
    if real in package.kinds:
        return True
    last = real.rpartition("/")[2]
    return any(
        places.place(name).real == real for name in package.kinds if name.rpartition("/")[2] == last
    )


def is_ignored(path: str, patterns: Sequence[str]) -> bool:
    """Match as COLLISION_IGNORE does: a pattern, or all below a directory that it names."""
    return any(
        fnmatch.fnmatchcase(path, pattern) or path.startswith(f"{pattern.rstrip('/')}/")
        for pattern in patterns
    )


def ignored_by(packages: Iterable[Package]) -> tuple[str, ...]:
    """The packages' COLLISION_IGNORE patterns; Portage's default if none has any."""
    said = [package.environment.get("COLLISION_IGNORE") for package in packages]
    words = {word for text in said if text is not None for word in text.split()}
    return tuple(sorted(words)) if words else IGNORED


def owned(layer: Layer, package: Package) -> Owned:
    """What a package owns according to its layer."""
    kinds = {name: kind for kind, name in contents(layer.path, package.cpv)}
    return Owned(package.id, f"{package.cp}:{package.slot}", kinds)
