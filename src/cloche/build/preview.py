"""What a build would do, told without doing anything: for `cloche plan` and for fetching ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from cloche.build.work import Worker
from cloche.plan.depgraph import Package

Fate = Literal["reuse", "build", "merge", "perhaps"]


@dataclass(frozen=True, slots=True)
class Forecast:
    """``perhaps``: it waits for something that is to be built, and may be reused after that."""

    fate: Fate
    layer: str | None = None


def forecast(worker: Worker) -> dict[str, Forecast]:
    """Foresee every package of the worker's plan, by id, in merge order."""
    known: dict[str, str] = {}
    fates: dict[str, Forecast] = {}
    for package in worker.plan.packages:
        fate = _foresee(worker, package, known)
        fates[package.id] = fate
        if fate.layer is not None:
            known[package.id] = fate.layer
    return fates


def _foresee(worker: Worker, package: Package, known: Mapping[str, str]) -> Forecast:
    visible = worker.plan.visible[package.id]
    if not known.keys() >= set(visible.build):
        return Forecast("perhaps")
    key = worker.build_key(package, worker.layers(visible.build, known))
    action = worker.shop.store.action(key.digest)
    if action is None:
        return Forecast("build")
    if not known.keys() >= set(visible.merge):
        return Forecast("perhaps")
    key = worker.merge_key(package, action.outputs["gpkg"], worker.layers(visible.merge, known))
    merged = worker.shop.store.action(key.digest)
    if merged is None:
        return Forecast("merge")
    return Forecast("reuse", merged.outputs["layer"])
