"""Unions: layers merged into one directory, kept so that they need not be merged again.

``unions/KEY/tree`` is the directory, ``unions/KEY/layers`` the ids of what it is made of, a line
each; that file's modification time is when it was last used. No row of the index names them: a
union is whole when it is in its place, since it is moved there in one step, and nothing is lost
when it is not. Its files are those of its layers, by hard links. Nobody waits until it is on the
disk: ``unions/KEY/boot`` is the boot in which it was made, and in another one it is made again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.store.layout import checked
from cloche.store.place import Place
from cloche.store.sweep import take_away

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # random(4)


@dataclass(frozen=True, slots=True)
class Union:
    """A stored union; ``layers`` are ids, the bottom first, ``used`` seconds of the epoch."""

    key: str
    layers: tuple[str, ...]
    used: float
    path: Path


def unions(store: Place) -> list[Union]:
    """All unions, by key."""
    found = []
    for path in sorted(store.unions.iterdir()):
        file = path / "layers"
        ids = tuple(file.read_text().split()) if file.is_file() else ()
        used = file.stat().st_mtime if ids else 0.0
        found.append(Union(path.name, ids, used, path))
    return found


def known_unions(store: Place) -> frozenset[str]:
    """The keys of all unions."""
    return frozenset(path.name for path in store.unions.iterdir())


def use_union(store: Place, key: str) -> Path | None:
    """The directory of a union that is about to be used, if there is one."""
    place = store.unions / checked(key)
    if not (place / "tree").is_dir() or not _of_this_boot(place):
        return None
    os.utime(place / "layers")
    return place / "tree"


def add_union(store: Place, source: Path, key: str, layers: Sequence[str]) -> Path:
    """Move ``source``, a directory in `tmp` that holds the union as ``tree``, into its place.

    To be called by the holder of the union's lock alone.
    """
    place = store.unions / checked(key)
    take_away(store, place)  # a damaged one
    (source / "layers").write_text("".join(f"{id}\n" for id in layers))
    (source / "boot").write_text(_BOOT.read_text())
    source.rename(place)
    return place / "tree"


def _of_this_boot(place: Path) -> bool:
    """Whether nothing of a union can have been lost on its way to the disk."""
    try:
        return (place / "boot").read_text() == _BOOT.read_text()
    except OSError:
        return False


def unneeded(store: Place, kept: Iterable[str], since: float) -> list[Union]:
    """Unions of layers that are not all in ``kept``, or that were used last before ``since``."""
    ids = set(kept)
    return [
        union
        for union in unions(store)
        if not union.layers or not ids.issuperset(union.layers) or union.used < since
    ]
