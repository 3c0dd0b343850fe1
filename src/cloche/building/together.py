"""Several machines as one plan: what they have in common is worked on once.

Two packages are alike if their builds and merges would have the same keys, and the same limits.
That is known before anything is built: keys are digests of inputs and of layers, and layers come
from packages that are alike in turn. The first machine that has a package works on it; those of
later machines that are like it wait for it, and then find its result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cloche.building.packages import Builder
from cloche.building.queue import Outcome
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan

Place = tuple[int, str]
"""A package of a plan: the machine's number and the package's id there."""


@dataclass(frozen=True, slots=True)
class Together:
    """Which packages are alike: ``first`` has for each place that of the first one like it."""

    first: Mapping[Place, Place]

    def worked_on(self, number: int) -> frozenset[str]:
        """The packages that a machine works on itself."""
        return frozenset(id for n, id in self.first.values() if n == number)

    def waits_for(self, plans: Sequence[Plan]) -> dict[str, frozenset[str]]:
        """What each package waits for, by `node` names.

        A package waits only for those of its own machine and of earlier ones, so that this has no
        cycles.
        """
        found = {}
        for number, plan in enumerate(plans):
            for name, needed in plan.waits_for().items():
                place = number, name
                others = {(number, each) for each in needed} | {self.first[place]}
                found[node(place)] = frozenset(map(node, others - {place}))
        return found

    def outcome_of(self, number: int, plan: Plan, whole: Outcome) -> Outcome:
        """One machine's part of the outcome; what failed for another one that is like it failed."""
        own = Outcome()
        skipped = []
        for package in plan.packages:
            name, first = node((number, package.id)), node(self.first[number, package.id])
            error = whole.failed.get(name) or whole.failed.get(first)
            if name in whole.done:
                own.done[package.id] = whole.done[name]
            elif error is not None:
                own.failed[package.id] = error
            else:
                skipped.append(package.id)
        own.skipped = tuple(skipped)
        return own


def node(place: Place) -> str:
    """The name of a place in a queue."""
    return f"{place[0]} {place[1]}"


def together(builders: Sequence[Builder]) -> Together:
    """See which packages of several plans are alike."""
    if len(builders) == 1:
        return Together({(0, id): (0, id) for id in builders[0].plan.visible})
    firsts: dict[str, Place] = {}
    first: dict[Place, Place] = {}
    for number, builder in enumerate(builders):
        for name, digest in likenesses(builder).items():
            first[number, name] = firsts.setdefault(digest, (number, name))
    return Together(first)


def likenesses(builder: Builder) -> dict[str, str]:
    """A digest for each package of a plan, equal for those that are alike."""
    found: dict[str, str] = {}
    for package in builder.plan.packages:
        found[package.id] = _likeness(builder, package, found)
    return found


def _likeness(builder: Builder, package: Package, before: Mapping[str, str]) -> str:
    visible, inputs = builder.plan.visible[package.id], builder.context.inputs
    policy = builder.context.policy
    parts = {
        "name": package.id,
        "use": package.use,
        "base": inputs.key_ground,
        "inputs": builder.inputs_of[package.id],
        "variables": dict(package.environment),
        "distfiles": [[each.name, dict(each.digests)] for each in package.distfiles],
        "own root": builder.in_own_root(package.id),
        "build": [before.get(each, each) for each in visible.build],
        "merge": [before.get(each, each) for each in visible.merge],
        "seed": [
            layer.id
            for names in (visible.seed_build, visible.seed_merge)
            for layer in inputs.of_seed(names)
        ],
        "forced": package.id in builder.forced,
        # A machine does not fail for the limits of another one; what is done is found by its key.
        "limits": [repr(policy.limits), policy.phase_seconds],
        "binary": None if package.binary is None else repr(package.binary),
    }
    text = json.dumps(parts, sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()
