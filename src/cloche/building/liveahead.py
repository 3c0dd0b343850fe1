"""Fetching the sources of live ebuilds before their build: for `cloche lock` and `cloche fetch`."""

from __future__ import annotations

from cloche.building import live
from cloche.building.forecast import forecast, live_to_build
from cloche.building.livepins import is_live
from cloche.building.packages import Builder
from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.records.errors import not_built


def live_packages(builder: Builder) -> tuple[Package, ...]:
    """The live ebuilds of a plan."""
    return tuple(package for package in builder.plan.packages if is_live(package))


def fetch_live(builder: Builder, *, update: bool = False) -> list[ClocheError]:
    """Fetch what is not here, or with ``update`` the newest, and pin it; what could not be had.

    An ebuild fetches with the tools that it declares: where these are not layers yet, only a build
    can do it.
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
    """The live ebuilds whose sources are not here."""
    return [
        package.cpv
        for package in live_packages(builder)
        if live.known(builder.context, package, builder.inputs_of[package.id]) is None
    ]


def remembered_sources(builder: Builder) -> frozenset[str]:
    """Ids of the trees of their sources: what gc is to leave."""
    found = (
        live.known(builder.context, package, builder.inputs_of[package.id])
        for package in live_packages(builder)
    )
    return frozenset(each.layer.id for each in found if each is not None)
