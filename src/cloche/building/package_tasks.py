"""Makes the tasks of a package: its steps as values that name their inputs by ids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cloche.building import ccache, distcc
from cloche.building.context import BuildContext
from cloche.building.livepins import Sources
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.names import bare
from cloche.tasks import kept_roots
from cloche.tasks.task import BuildTask, LiveSources, MergeTask


@dataclass(frozen=True, slots=True)
class Seen:
    """The layers that a step of a package sees: over the ground, and in the root of its own.

    ``root`` is None for a package that goes over the ground.
    """

    layers: tuple[Layer, ...] = ()
    root: tuple[Layer, ...] | None = None


def build_task(
    context: BuildContext,
    package: Package,
    seen: Seen,
    sources: Sources | None = None,
    *,
    cached: bool = False,
) -> BuildTask:
    """The build of a package; ``sources`` are those of a live ebuild.

    It may only have a compile cache, or compile on other hosts, if ``cached``.
    """
    cross = context.inputs.cross
    return BuildTask(
        **_step(context, package, seen),
        use=package.use,
        masters=context.inputs.masters,
        inherited=package.inherited,
        distfiles=package.distfiles,
        cores=context.policy.cores,
        live=LiveSources(sources.layer.id, sources.environment) if sources else None,
        ccache=ccache.cache_of(context, package, seen.layers) if cached else None,
        distcc=distcc.distribution_of(context, package, seen.layers, own=seen.root is not None)
        if cached
        else None,
        variables=cross.for_seed if cross and package.broot else context.inputs.sysroot,
    )


def merge_task(
    context: BuildContext,
    package: Package,
    gpkg: str,
    seen: Seen,
    *,
    quiet: bool = False,
) -> MergeTask:
    """The merge of a binary package."""
    metadata = dict(package.binary.metadata) if package.binary else {}
    step = _step(context, package, seen)
    return MergeTask(**step, gpkg=gpkg, metadata=metadata, quiet=quiet)


def kept_as(context: BuildContext, package: Package) -> str:
    """The name under which the root of a package's failed step is kept."""
    name = bare(package.id)
    return kept_roots.name_of(context.inputs.place, context.inputs.machine, name)


def _step(context: BuildContext, package: Package, seen: Seen) -> dict[str, Any]:
    """The common fields; see `cloche.tasks.task.Step`."""
    inputs, policy = context.inputs, context.policy
    return {
        "package": package.id,
        "cpv": package.cpv,
        "pf": package.pf,
        "repo": package.repo,
        "base": tuple(layer.id for layer in inputs.ground),
        "layers": tuple(layer.id for layer in seen.layers),
        "root": None if seen.root is None else tuple(layer.id for layer in seen.root),
        "repositories": {name: repo.tree for name, repo in inputs.repos.items()},
        "environment": inputs.environment,
        "limits": policy.limits,
        "phase_seconds": policy.phase_seconds,
        "disk_reserve": policy.disk_reserve,
        "kept_as": kept_as(context, package),
        "cross": inputs.cross.tools if inputs.cross and not package.broot else None,
        "interpreters": inputs.interpreters.id if inputs.interpreters else None,
    }
