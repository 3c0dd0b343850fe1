"""Compiles of builds on other hosts: which builds may use them.

They are part of no key, as they change no result: a host compiles with the same layers, or refuses.
These are those of the seed. A build that sees a package with a compiler, or parts of one, compiles
everything itself, and so do builds for a root of its own or for another CPU, whose compilers are
scripts.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloche.building.compilers import compiles, has_distcc
from cloche.building.context import BuildContext
from cloche.building.errors import no_distcc
from cloche.distcc.hosts import KINDS
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.tasks.task import Distribution


def distribution_of(
    context: BuildContext, package: Package, layers: Sequence[Layer], *, own: bool
) -> Distribution | None:
    """Where a package that is built over these layers compiles; None if only here.

    ``own`` says that it is for a root of its own. Raises OSError.
    """
    inputs, hosts = context.inputs, context.policy.distcc
    elsewhere = inputs.cross is not None or inputs.interpreters is not None
    if not hosts or own or elsewhere or any(compiles(layer.path) for layer in layers):
        return None
    made = ("config", "state", "seed-vdb")  # which a host with the seed need not have
    toolchain = [layer for layer in inputs.ground if layer.kind not in made]
    if not all(layer.kind in KINDS for layer in toolchain):
        return None
    return Distribution(hosts, tuple(layer.id for layer in toolchain), context.policy.elsewhere)


def check(context: BuildContext) -> None:
    """Refuse the setting where the seed has no distcc. Raises ClocheError."""
    inputs = context.inputs
    if context.policy.distcc and not any(has_distcc(layer.path) for layer in inputs.ground):
        raise no_distcc(inputs.machine)
