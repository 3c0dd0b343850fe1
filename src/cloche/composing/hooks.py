"""Finds what hooks changed or removed of other packages' files, or of the seed.

Portage lets hooks do anything to the root. A layer shows it: it has a file or a whiteout at a name
that belongs to another package by its CONTENTS. A VDB entry also belongs to its package, which is
not installed without it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from cloche.composing.collisions import SHOWN
from cloche.composing.contests import Contests
from cloche.composing.footprint import VDB, contents, entries, footprint
from cloche.layers import Layer, is_whiteout
from cloche.plan.depgraph import Package
from cloche.tasks.errors import (
    StepError,
)

#: Portage's default CONFIG_PROTECT and mask: hooks and users are expected to edit these files.
PROTECTED, MASKED = "etc/", "etc/env.d/"


@dataclass(frozen=True, slots=True)
class Change:
    """Names of ``victim`` that the merge of ``culprit`` changed or removed."""

    culprit: str
    victim: str
    altered: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def uninstalled(self) -> bool:
        """Whether the victim's VDB entry is gone, so that it is not installed."""
        entry = f"{VDB}/{self.victim}"
        lost = (entry, f"{entry}/CONTENTS", entry.rpartition("/")[0], VDB)
        return any(name in lost for name in self.removed)

    @property
    def text(self) -> str:
        """The change as one clause."""
        if self.uninstalled:
            return f"removes the VDB entry of {self.victim}"
        parts = (("alters", self.altered), ("removes", self.removed))
        what = " and ".join(f"{verb} {_listed(names)}" for verb, names in parts if names)
        return f"{what}, which {self.victim} owns"


def changes(
    packages: Sequence[Package], layers: Sequence[Layer], contests: Contests
) -> list[Change]:
    """All such changes among the packages of a composed root, in merge order."""
    found = []
    for place, (package, layer) in enumerate(zip(packages, layers, strict=True)):
        near = contests.of(layer)
        for other, below in zip(packages[:place], layers[:place], strict=True):
            if below.id in near and (names := _changed(layer, below)):
                removed = tuple(name for name in names if _is_gone(layer, name))
                altered = tuple(n for n in names if n not in removed and not _is_protected(n))
                if removed or altered:
                    found.append(Change(package.cpv, other.cpv, altered, removed))
    return found


def losses(
    packages: Sequence[Package],
    layers: Sequence[Layer],
    bottom: Sequence[Layer],
    contests: Contests,
) -> list[Change]:
    """What packages removed from the seed, whose layers are ``bottom``, in merge order.

    Without the files of installed packages of the seed that were replaced.
    """
    found = []
    for package, layer in zip(packages, layers, strict=True):
        gone = contests.gone(layer)
        lost = {
            name
            for name in gone
            if not name.startswith(f"{VDB}/") and any(map(partial(_has, name), bottom))
        }
        if lost := lost - _replaced(gone, bottom) if lost else lost:
            found.append(Change(package.cpv, "the seed", removed=tuple(sorted(lost))))
    return found


def _has(name: str, layer: Layer) -> bool:
    return os.path.lexists(layer.path / name)


def _replaced(gone: Iterable[str], bottom: Sequence[Layer]) -> set[str]:
    """The files of those packages in the seed's VDB whose entries are gone."""
    lost = [f"{name}/" for name in gone if name.startswith(f"{VDB}/")]
    return {
        name
        for layer in bottom
        for cpv in (entries(layer.path) if lost else ())
        if any(f"{VDB}/{cpv}/".startswith(entry) for entry in lost)
        for _, name in contents(layer.path, cpv)
    }


def refuse(changed: Sequence[Change], *, strict: bool) -> None:
    """Raise StepError if a package is no longer installed, or, with ``strict``, for any change."""
    bad = [each for each in changed if strict or each.uninstalled]
    if bad:
        raise StepError(
            bad[0].culprit,
            "merge",
            bad[0].text,
            todo=f"fix the hooks (pkg_postinst and the like) of {bad[0].culprit}",
            detail="\n".join(f"{each.culprit} {each.text}" for each in bad) if bad[1:] else None,
        )


@lru_cache(maxsize=4096)
def _changed(upper: Layer, lower: Layer) -> tuple[str, ...]:
    """Names of the upper layer that the lower layer's package owns, and its own package does not.

    For a removed directory, the directory itself.
    """
    up, low = footprint(upper), footprint(lower)
    files = {name for name in low.others & up.others if low.may_own(name)} | low.owned
    files |= {name for name in low.others if name.startswith(f"{VDB}/")}
    above = low.indirect | low.directories.keys()
    foreign = {name for name in up.others & (files | above) if not up.may_own(name)}
    return tuple(sorted(foreign | (up.directories.keys() & files)))


def _is_gone(layer: Layer, name: str) -> bool:
    """Whether a layer hides a name, or has a directory where a file was."""
    info = (layer.path / name).lstat()
    return is_whiteout(info) or name in footprint(layer).directories


def _is_protected(name: str) -> bool:
    return name.startswith(PROTECTED) and not name.startswith(MASKED)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(f"/{name}" for name in names[:SHOWN]) + more
