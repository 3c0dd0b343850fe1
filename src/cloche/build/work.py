"""One package from key to layer: look it up, fetch, build, merge, and tell about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cloche.build import fetch, merge
from cloche.build import package as building
from cloche.build.events import Done, Note
from cloche.build.workshop import Workshop
from cloche.errors import ClocheError
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.keys import Key, build_key, merge_key
from cloche.plan.plan import Plan
from cloche.store import Action


@dataclass(frozen=True, slots=True)
class Made:
    """What one package gave: ids of its binary package and of its layer."""

    gpkg: str
    layer: str


@dataclass(frozen=True, slots=True)
class Worker:
    """Does the packages of one plan.

    ``depgraph`` is the id of the blob with the plan's resolution; ``inputs_of`` gives the digests
    of each package's own files; ``environment`` is the caller's, for fetching.

    ``results`` holds, for each package that is done, what it gave and whether it had to be built.
    """

    shop: Workshop
    plan: Plan
    depgraph: str
    inputs_of: Mapping[str, Mapping[str, str]]
    environment: dict[str, str]
    results: dict[str, tuple[Made, bool]] = field(default_factory=dict)

    def __call__(self, name: str, done: Mapping[str, str]) -> str:
        """Make the layer of a package whose visible sets are ``done``; give its id."""
        package = self.plan.graph.by_id()[name]
        began = time.monotonic()
        try:
            made, built = self.make(package, done)
        except ClocheError as error:
            if self.shop.running.stopped:
                raise
            seconds = time.monotonic() - began
            self.shop.bus(
                Done(
                    package=name,
                    how="failed",
                    seconds=seconds,
                    reason=str(error),
                    log=getattr(error, "log", None),
                    lines=tuple((error.detail or "").splitlines()),
                    enter=getattr(error, "enter", None),
                )
            )
            raise
        self.results[name] = made, built
        self.shop.bus(
            Done(
                package=name,
                how="built" if built else "reused",
                seconds=time.monotonic() - began,
                layer=made.layer,
            )
        )
        return made.layer

    def make(self, package: Package, done: Mapping[str, str]) -> tuple[Made, bool]:
        """Reuse or do both steps; the flag says whether anything was built."""
        visible = self.plan.visible[package.id]
        build = self.layers(visible.build, done)
        key = self.build_key(package, build)
        action = self.shop.store.action(key.digest)
        built = action is None
        if action is None:
            with self.shop.store.lock(f"build-{key.digest}", self._waits(package)):
                action = self.shop.store.action(key.digest) or self._build(package, build, key)
        gpkg = action.outputs["gpkg"]
        over = self.layers(visible.merge, done)
        key = self.merge_key(package, gpkg, over)
        action = self.shop.store.action(key.digest)
        if action is None:
            with self.shop.store.lock(f"merge-{key.digest}", self._waits(package)):
                action = self.shop.store.action(key.digest) or self._merge(package, gpkg, over, key)
        return Made(action.outputs["gpkg"], action.outputs["layer"]), built

    def _waits(self, package: Package) -> Callable[[], None]:
        text = f"{package.cpv}: another cloche is at it; waiting"
        return lambda: self.shop.bus(Note(text=text))

    def layers(self, names: Sequence[str], done: Mapping[str, str]) -> tuple[Layer, ...]:
        """Layers of packages that are done, in the order given."""
        return tuple(self.shop.layer(done[name]) for name in names)

    def build_key(self, package: Package, layers: Sequence[Layer]) -> Key:
        """Key of the build step over these layers."""
        return build_key(
            package,
            inputs=self.inputs_of[package.id],
            layers=[(layer.label, layer.id) for layer in layers],
            base=self.shop.inputs.key_base,
        )

    def merge_key(self, package: Package, gpkg: str, layers: Sequence[Layer]) -> Key:
        """Key of the merge step of a binary package over these layers."""
        return merge_key(
            package,
            gpkg=gpkg,
            layers=[(layer.label, layer.id) for layer in layers],
            base=self.shop.inputs.key_base,
        )

    def _build(self, package: Package, layers: Sequence[Layer], key: Key) -> Action:
        fetch.fetch(self.shop, package, self.environment)
        began = time.monotonic()
        self.shop.jobserver.started()
        try:
            gpkg, log = building.build(self.shop, package, layers)
        finally:
            self.shop.jobserver.ended()
        seconds = time.monotonic() - began
        return self._record("build", package, key, {"gpkg": gpkg}, seconds, log)

    def _merge(self, package: Package, gpkg: str, layers: Sequence[Layer], key: Key) -> Action:
        before = self.shop.store.last_action("merge", package.id)
        began = time.monotonic()
        layer, log = merge.merge(self.shop, package, gpkg, layers)
        if before is not None and before.outputs["layer"] == layer.id:
            # The same result as before: the layer stays, and so does the package it was made from.
            gpkg = before.outputs["gpkg"]
        outputs = {"gpkg": gpkg, "layer": layer.id}
        return self._record("merge", package, key, outputs, time.monotonic() - began, log)

    def _record(
        self,
        kind: str,
        package: Package,
        key: Key,
        outputs: Mapping[str, str],
        seconds: float,
        log: str,
    ) -> Action:
        action = Action(
            key=key.digest,
            kind=kind,
            name=package.id,
            parts=key.parts,
            outputs=outputs,
            seconds=seconds,
            log=log,
            created=time.time(),
        )
        self.shop.store.record(action)
        return action
