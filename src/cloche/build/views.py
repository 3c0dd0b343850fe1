"""What of the repositories a step may see, as binds."""

from __future__ import annotations

from cloche.build.workshop import REPOS, Workshop
from cloche.engines.base import Bind
from cloche.plan.depgraph import Package
from cloche.portage.view import package_view, profile_view


def for_build(shop: Workshop, package: Package) -> tuple[Bind, ...]:
    """Profiles and metadata of all; the inherited eclasses and the package's own directory."""
    binds = list(for_merge(shop))
    repos = {name: repo.path for name, repo in shop.inputs.repos.items()}
    binds += [Bind(source, target) for source, target in package_view(repos, package_of(package))]
    return tuple(binds)


def for_merge(shop: Workshop) -> tuple[Bind, ...]:
    """Profiles and metadata: what Portage needs to know its settings, and nothing to build."""
    return tuple(
        Bind(source, f"{REPOS}/{repo.name}/{name}")
        for repo in shop.inputs.repos.values()
        for source, name in profile_view(repo.path)
    )
