"""What a token sees: the same for the API and for pages."""

from __future__ import annotations

from collections.abc import Iterator

from cloche.service.auth import sees
from cloche.service.core import Service
from cloche.service.values import Build, BuildState, Target, Token
from cloche.service.views import BuildView, PackageView, TargetView, package_view, target_view


def targets_for(service: Service, token: Token) -> list[Target]:
    """The targets that a token may see."""
    return [each for each in service.database.targets() if sees(token, each.id)]


def view_of_target(service: Service, token: Token, target: Target) -> TargetView:
    """A target as a token may see it."""
    database = service.database
    return target_view(
        target,
        packages=len(database.indexed(target)),
        proven=bool(database.seen(target.digest, target.level)),
        public_key=service.public_key,
        owner=target.owner if token.everywhere else None,
        faults=database.faults(target.id),
    )


def view_of(service: Service, token: Token, build: Build) -> BuildView:
    """A build as a token may see it."""
    return service.dispatcher.view(build, [each for each in build.targets if sees(token, each)])


def builds_for(
    service: Service, token: Token, target: str | None, states: list[BuildState], most: int,
    before: int | None = None,
) -> list[Build]:  # fmt: skip
    """The builds that a token may see, the newest first."""
    if target is None and not token.everywhere:
        target = token.target or ""
    return service.database.builds(target=target, states=states, most=most, before=before)


def packages_for(service: Service, token: Token, target: str | None) -> Iterator[PackageView]:
    """The packages that a token may see."""
    database, seen = service.database, _seen(service, token, target)
    holders = _holders(service, seen)
    everything = token.everywhere and target is None
    levels = database.levels_of_packages(None if everything else {each.digest for each in seen})
    builds = database.build_ids([each.id for each in seen])
    for package in database.packages():
        if package.id in holders or everything:
            build = package.build if package.build in builds else None
            yield package_view(
                package, build, levels.get(package.id, ()), holders.get(package.id, ())
            )


def pool_for(service: Service, token: Token) -> tuple[int, int]:
    """How many packages a token may see, and their bytes."""
    if token.everywhere:
        return service.database.pool()
    return service.database.pool(_holders(service, _seen(service, token, None)))


def _seen(service: Service, token: Token, target: str | None) -> list[Target]:
    """The targets that a token sees, perhaps only one of them."""
    return [each for each in targets_for(service, token) if target in (None, each.id)]


def _holders(service: Service, targets: list[Target]) -> dict[int, list[str]]:
    """The packages that are in the indexes of targets, each with those that have it."""
    holders: dict[int, list[str]] = {}
    for each in targets:
        for id in service.database.indexed(each):
            holders.setdefault(id, []).append(each.id)
    return holders
