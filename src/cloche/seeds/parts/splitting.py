"""A seed as parts: one for each package with all that it owns, and one for what none owns.

Parts are trees of their own with the directories that lead to what they hold, all with the
attributes that the seed has them with. Over each other, in any order, they are the seed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from cloche.seeds.parts.contents import above
from cloche.store.tree import Entry

REST = "unowned"
"""The name of the part that no package owns."""


def divided(
    entries: Sequence[Entry], owned: Mapping[str, Iterable[bytes]]
) -> dict[str, list[Entry]]:
    """The entries of each part, in their order. A pure function.

    What two packages own is in both parts. Names of one inode stay together: they are in the part
    of each package that owns one of them. A directory is in the part of whoever owns it or anything
    below it, and in the rest where no package does.
    """
    places = {entry.path: place for place, entry in enumerate(entries)}
    groups = _groups(entries)
    parts: dict[str, set[int]] = {}
    taken: set[int] = set()
    for name, paths in owned.items():
        own = {places[path] for path in paths}
        for place in tuple(own):
            own.update(groups.get(place, ()))
        parts[name] = own
        taken |= own
    kept = {place for place, entry in enumerate(entries) if entry.type != "directory"} - taken
    for part in (*parts.values(), kept):
        _add_ways(part, entries, places)
    shown = kept.union(*parts.values())
    kept.update(place for place in range(len(entries)) if place not in shown)
    parts[REST] = kept
    _add_ways(kept, entries, places)
    return {name: [entries[place] for place in sorted(part)] for name, part in parts.items()}


def _groups(entries: Sequence[Entry]) -> dict[int, tuple[int, ...]]:
    """For each name that shares its inode with another one of the tree: all of them."""
    inodes: dict[tuple[int, int], list[int]] = {}
    for place, entry in enumerate(entries):
        if entry.names > 1 and entry.type != "directory":
            inodes.setdefault(entry.inode, []).append(place)
    found = (tuple(group) for group in inodes.values() if len(group) > 1)
    return {place: group for group in found for place in group}


def _add_ways(part: set[int], entries: Sequence[Entry], places: Mapping[bytes, int]) -> None:
    """Add the directories above all that is in a part, the root included."""
    part.add(0)
    for place in tuple(part):
        path = entries[place].path
        while path:
            path = above(path)
            way = places[path]
            if way in part:
                break
            part.add(way)
