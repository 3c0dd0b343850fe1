"""The input and the result of an output kind: `Finished`, `Written`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cloche.building.context import BuildContext
from cloche.config.machine import Machine
from cloche.layers import Layer
from cloche.output.sealed import Revealed
from cloche.plan.depgraph import Package


@dataclass(frozen=True, slots=True)
class Finished:
    """A machine that is built.

    ``layers`` are its members' in merge order, composed, and the state layer last. ``packages`` are
    its members with the blob of each one's GPKG. ``directory`` is where outputs go, ``secrets`` are
    to be in them. ``copied`` gets the layers that are made of the project's directories.
    """

    context: BuildContext
    machine: Machine
    layers: tuple[Layer, ...]
    packages: tuple[tuple[Package, str], ...]
    directory: Path
    secrets: tuple[Revealed, ...] = ()
    copied: dict[Path, Layer] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """An output in its place, and the blob that the store keeps of it, which has no secrets."""

    path: Path
    blob: str
