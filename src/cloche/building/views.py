"""What of the repositories and of the configuration a step sees: its binds, and their digests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloche.building.context import Inputs
from cloche.plan.depgraph import Package
from cloche.portage.cpv import Cpv, split_cpv
from cloche.portage.view import Digests, common_view, package_view
from cloche.sandbox.base import Bind


def for_build(inputs: Inputs, package: Package) -> tuple[Bind, ...]:
    """Profiles, the inherited eclasses one by one, and the package's own files."""
    view = package_view(
        inputs.snapshots, inputs.masters, package.repo, _cpv(package), package.inherited
    )
    return tuple(Bind(source, target) for source, target in view)


def for_merge(inputs: Inputs) -> tuple[Bind, ...]:
    """Profiles: what Portage needs to know its settings, and nothing to build."""
    return tuple(Bind(source, target) for source, target in common_view(inputs.snapshots))


def input_digests(inputs: Inputs, packages: Iterable[Package]) -> Mapping[str, Mapping[str, str]]:
    """Digests of each package's own files, by its id and by name, for its action key."""
    digests = Digests(inputs.snapshots, inputs.masters, inputs.etc, inputs.profile)
    return {
        package.id: digests.hooks(_cpv(package), package.slot)
        if package.binary is not None
        else digests.inputs(package.repo, _cpv(package), package.inherited, package.slot)
        for package in packages
    }


def _cpv(package: Package) -> Cpv:
    return split_cpv(package.cpv)
