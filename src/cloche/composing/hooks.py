"""What the merge of one package did to files that another one owns, or took from the seed.

Portage lets a hook do anything to the root. In a layer it shows: a file, or the mark that one is
gone, at a name that by its CONTENTS belongs to another package. An entry of the VDB belongs to its
package, too; without it that package is not installed.
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

#: Portage's least CONFIG_PROTECT and its mask: hooks and people are expected to edit these files.
PROTECTED, MASKED = "etc/", "etc/env.d/"


@dataclass(frozen=True, slots=True)
class Change:
    """Names that the merge of ``culprit`` changed or took away; all of them are ``victim``'s."""

    culprit: str
    victim: str
    altered: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def uninstalled(self) -> bool:
        """Whether the entry of the VDB is gone that makes the victim an installed package."""
        entry = f"{VDB}/{self.victim}"
        lost = (entry, f"{entry}/CONTENTS", entry.rpartition("/")[0], VDB)
        return any(name in lost for name in self.removed)

    @property
    def text(self) -> str:
        """One clause that says so."""
        if self.uninstalled:
            return f"removes the VDB entry of {self.victim}"
        parts = (("alters", self.altered), ("removes", self.removed))
        what = " and ".join(f"{verb} {_listed(names)}" for verb, names in parts if names)
        return f"{what}, which {self.victim} owns"


def changes(
    packages: Sequence[Package], layers: Sequence[Layer], contests: Contests
) -> list[Change]:
    """All such changes among the packages of a root, composed, in merge order."""
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
    """What packages took away from the seed, whose layers are ``bottom``, in merge order.

    What an installed package of the seed had, in whose place a package came, is not among it.
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
    """The names of those packages in the seed's VDB whose entries are gone."""
    lost = [f"{name}/" for name in gone if name.startswith(f"{VDB}/")]
    return {
        name
        for layer in bottom
        for cpv in (entries(layer.path) if lost else ())
        if any(f"{VDB}/{cpv}/".startswith(entry) for entry in lost)
        for _, name in contents(layer.path, cpv)
    }


def refuse(changed: Sequence[Change], *, strict: bool) -> None:
    """Raise StepError where a package is no longer installed, or, if ``strict``, for any change."""
    bad = [each for each in changed if strict or each.uninstalled]
    if bad:
        raise StepError(
            bad[0].culprit,
            "merge",
            bad[0].text,
            todo=f"mend the hooks (pkg_postinst and the like) of {bad[0].culprit}",
            detail="\n".join(f"{each.culprit} {each.text}" for each in bad) if bad[1:] else None,
        )


@lru_cache(maxsize=4096)
def _changed(upper: Layer, lower: Layer) -> tuple[str, ...]:
    """Names of the upper layer's that the lower one's package owns, and the upper one's does not.

    Of a directory that is gone it is the directory.
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
