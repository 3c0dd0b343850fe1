"""What of the repositories and of the configuration a step sees: its binds, and their digests."""

from __future__ import annotations

from collections.abc import Mapping

from cloche.building.context import Inputs
from cloche.plan.depgraph import Package
from cloche.portage.cpv import Cpv, split_cpv
from cloche.portage.view import common_view, digest_of_hooks, digest_of_inputs, package_view
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


def input_digests(inputs: Inputs, package: Package) -> Mapping[str, str]:
    """Digests of the package's own files, by name, for its action key."""
    if package.binary is not None:
        return digest_of_hooks(
            inputs.snapshots,
            _cpv(package),
            slot=package.slot,
            etc=inputs.etc,
            profile=inputs.profile,
        )
    return digest_of_inputs(
        inputs.snapshots,
        inputs.masters,
        package.repo,
        _cpv(package),
        package.inherited,
        slot=package.slot,
        etc=inputs.etc,
        profile=inputs.profile,
    )


def _cpv(package: Package) -> Cpv:
    return split_cpv(package.cpv)
