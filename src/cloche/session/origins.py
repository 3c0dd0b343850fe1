"""What a built machine consists of, and what it was built from, by their digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cloche.building.locking import pin_of, repo_pins
from cloche.building.machine import Built
from cloche.building.packages import Builder
from cloche.config.lock import DistfilePin, RepoPin


@dataclass(frozen=True, slots=True)
class BuiltPackage:
    """A package of a machine's plan: its id there, and the ids of its GPKG (SHA-256) and layer.

    ``key`` is the digest of all that its merge could see. A ``member`` is in the machine's root;
    others were only needed to build it.
    """

    id: str
    cpv: str
    repo: str
    gpkg: str
    layer: str
    key: str
    member: bool


@dataclass(frozen=True, slots=True)
class Origins:
    """What a machine is built from; ``base`` are the layers of seed and configuration by kind."""

    base: Mapping[str, str]
    repos: Mapping[str, RepoPin]
    distfiles: tuple[DistfilePin, ...]
    packages: tuple[BuiltPackage, ...]


def origins(builder: Builder, built: Built) -> Origins:
    """The origins of a machine all of whose packages are built."""
    inputs, plan = builder.context.inputs, built.plan
    members, by_id = frozenset(plan.members), plan.graph.by_id()
    packages = (by_id[name] for name in sorted(built.made))
    return Origins(
        {layer.kind: layer.id for layer in inputs.base},
        repo_pins(inputs),
        tuple(sorted({pin_of(file) for each in plan.packages for file in each.distfiles})),
        tuple(
            BuiltPackage(
                each.id,
                each.cpv,
                each.repo,
                built.made[each.id].gpkg,
                built.made[each.id].layer,
                built.made[each.id].key,
                each.id in members,
            )
            for each in packages
        ),
    )
