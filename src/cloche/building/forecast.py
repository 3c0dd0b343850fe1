"""Forecasts what a build will do, for `cloche plan` and for fetching ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloche.building import (
    binpkg,
    live,
)
from cloche.building.errors import live_refused
from cloche.building.livepins import is_live
from cloche.building.packages import Builder, Made, NotMergedError
from cloche.composing.collisions import CollisionError
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.tasks import distfiles

Fate = Literal["reuse", "build", "merge", "perhaps", "fetch"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """``perhaps``: it waits for a build, and may be reused afterwards.

    ``fetch``: it comes from a binary package host, and is not fetched yet.
    """

    fate: Fate
    made: Made | None = None

    @property
    def layer(self) -> str | None:
        """Id of the package's layer, if known."""
        return self.made.layer if self.made else None


def forecast(
    builder: Builder, foreseen: Mapping[str, Forecast] | None = None
) -> dict[str, Forecast]:
    """Forecast every package of the builder's plan, by id, in merge order.

    What is ``foreseen`` for a package is taken as it is.
    """
    known: dict[str, Made] = {}
    fates: dict[str, Forecast] = {}
    for package in builder.plan.packages:
        try:
            fate = (foreseen or {}).get(package.id) or _foresee(builder, package, known)
        except (NotMergedError, CollisionError):  # the build itself reports a collision
            fate = Forecast("perhaps")
        fates[package.id] = fate
        if fate.made is not None:
            known[package.id] = fate.made
    return fates


def to_fetch(builder: Builder, fates: Mapping[str, Forecast]) -> dict[str, int]:
    """Bytes to fetch for each package, by id, without those that need none.

    A file that several packages need counts for the first of them.
    """
    sizes: dict[str, int] = {}
    counted: set[str] = set()
    for package in builder.plan.packages:
        fate = fates[package.id].fate
        if package.binary is not None:
            size = package.binary.size if fate == "fetch" else 0
        elif fate in ("build", "perhaps"):
            lacking = distfiles.missing(builder.context.store, package.distfiles)
            new = {distfiles.stored_name(file): file.size for file in lacking}
            size = sum(new[name] for name in new.keys() - counted)
            counted |= new.keys()
        else:
            size = 0
        if size:
            sizes[package.id] = size
    return sizes


def live_to_build(builder: Builder, fates: Mapping[str, Forecast]) -> ClocheError | None:
    """The error about live ebuilds that would fetch and are not allowed to; None without any."""
    context = builder.context
    found = tuple(
        package.cpv
        for package in builder.plan.packages
        if is_live(package)
        and fates[package.id].fate != "reuse"
        and not context.live.allows(package)
        and live.known(context, package, builder.inputs_of[package.id]) is None
    )
    return live_refused(context.inputs.machine, found) if found else None


def _foresee(builder: Builder, package: Package, known: Mapping[str, Made]) -> Forecast:
    visible = builder.plan.visible[package.id]
    if not known.keys() >= set(visible.build):
        return Forecast("perhaps")
    if package.id in builder.forced:
        return Forecast("build" if package.binary is None else "merge")
    if package.binary is not None:
        gpkg, lacking = binpkg.found(builder.context, package), Forecast("fetch")
    else:
        sources = live.known(builder.context, package, builder.inputs_of[package.id])
        if is_live(package) and sources is None:
            return Forecast("build")
        seen = builder.seen_by_build(package, known, look=True)
        action = builder.context.store.action(builder.build_key(package, seen, sources).digest)
        gpkg, lacking = action.outputs["gpkg"] if action else None, Forecast("build")
    if gpkg is None:
        return lacking
    if not known.keys() >= set(visible.merge):
        return Forecast("perhaps")
    over = builder.seen_by_merge(package, known, look=True)
    key = builder.merge_key(package, gpkg, over)
    merged = builder.context.store.action(key.digest)
    if merged is None:
        return Forecast("merge")
    made = Made(merged.outputs["gpkg"], merged.outputs["layer"], key.digest)
    return Forecast("reuse", made)
