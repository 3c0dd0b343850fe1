"""Compile caches: which package has which one, and which one is kept.

A cache belongs to one package name of a project's repository and to what compiles in the root. An
ebuild can write anything into the cache that it builds with. So it can only poison its own later
builds, which could be poisoned by its sources just as well, and no other package's.

A cache is part of no key, as it changes no result: objects are found by their preprocessed source,
the arguments and the identity of the compilers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloche.building.compilers import has_ccache, identity
from cloche.building.context import BuildContext
from cloche.building.errors import no_ccache
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan
from cloche.store import Outcome, names
from cloche.tasks.task import BuildTask, CompileCache

PACKAGE = "dev-util/ccache"


def cache_of(
    context: BuildContext, package: Package, layers: Sequence[Layer]
) -> CompileCache | None:
    """The cache of a package that is built over these layers; None if it has none.

    Raises OSError.
    """
    if not context.policy.ccache:
        return None
    inputs = context.inputs
    if not any(has_ccache(layer.path) for layer in (*inputs.ground, *layers)):
        return None
    compilers = identity(inputs.compilers_in, layers)
    pin = context.store.pin_of(_name(context, package, compilers))
    there = pin is not None and context.store.has_blob(pin.blobs[0])
    return CompileCache(compilers, pin.blobs[0] if pin and there else None)


def kept(context: BuildContext, package: Package, task: BuildTask, outcome: Outcome) -> Outcome:
    """Keep the cache of a build that succeeded, in the place of the one before.

    Returns the outcome without it: what is recorded must not depend on a cache.
    """
    outputs = dict(outcome.outputs)
    tarball = outputs.pop("ccache", None) or (task.ccache and task.ccache.tarball)
    if task.ccache and tarball:
        name = _name(context, package, task.ccache.compilers)
        context.store.pin(name, (), (tarball,), {"package": package.cpv})
    return replace(outcome, outputs=outputs)


def check(context: BuildContext, plan: Plan) -> None:
    """Refuse the setting where no build of a plan can see ccache. Raises ClocheError."""
    if not context.policy.ccache:
        return
    inputs = context.inputs
    parts = inputs.seed_parts.layers.values() if inputs.seed_parts else ()
    planned = any(package.cp == PACKAGE for package in plan.packages)
    if not planned and not any(has_ccache(layer.path) for layer in (*inputs.ground, *parts)):
        raise no_ccache(inputs.machine)


def _name(context: BuildContext, package: Package, compilers: str) -> str:
    return names.ccache(context.inputs.place, package.repo, package.cp, compilers)
