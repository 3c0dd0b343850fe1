"""Fetches the sources of live ebuilds before their build, for `cloche lock` and `cloche fetch`."""

from __future__ import annotations

from cloche.building import live
from cloche.building.forecast import forecast, live_to_build
from cloche.building.livepins import is_live
from cloche.building.packages import Builder
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.records.builds import not_built


def live_packages(builder: Builder) -> tuple[Package, ...]:
    """The live ebuilds of a plan."""
    return tuple(package for package in builder.plan.packages if is_live(package))


def fetch_live(builder: Builder, *, update: bool = False) -> list[ClocheError]:
    """Fetch and pin missing sources, or with ``update`` the newest; return what failed.

    An ebuild fetches with its declared tools: until these are built, only a build can do it.
    """
    packages = live_packages(builder)
    if not packages:
        return []
    fates = forecast(builder)
    refused = live_to_build(builder, fates)
    failed: list[ClocheError] = [refused] if refused else []
    made = {name: fate.made for name, fate in fates.items() if fate.made is not None}
    for package in packages:
        known = live.known(builder.context, package, builder.inputs_of[package.id])
        if not builder.context.live.allows(package) or (known and not update):
            continue
        absent = [name for name in builder.plan.visible[package.id].build if name not in made]
        try:
            if absent:
                what = f"{absent[0]}, with which {package.cpv} fetches its sources"
                raise not_built(what, f"cloche build {builder.context.inputs.machine}")
            builder.live_sources(package, builder.seen_by_build(package, made), update=update)
        except ClocheError as error:
            failed.append(error)
    return failed


def lacking_live(builder: Builder) -> list[str]:
    """The live ebuilds whose sources are not in the store."""
    return [
        package.cpv
        for package in live_packages(builder)
        if live.known(builder.context, package, builder.inputs_of[package.id]) is None
    ]


def remembered_sources(builder: Builder) -> frozenset[str]:
    """Ids of the trees of their sources, which gc keeps."""
    found = (
        live.known(builder.context, package, builder.inputs_of[package.id])
        for package in live_packages(builder)
    )
    return frozenset(each.layer.id for each in found if each is not None)
