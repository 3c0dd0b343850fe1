"""One package from key to layer: looks it up, fetches, builds, merges and reports it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from cloche.building import binpkg, ccache, failures, fetch, live
from cloche.building.context import BuildContext
from cloche.building.finish_root import Presence
from cloche.building.hints import explain
from cloche.building.livepins import Sources, is_live
from cloche.building.package_tasks import Seen, build_task, kept_as, merge_task
from cloche.composing.collisions import SHOWN
from cloche.composing.compose import Composer
from cloche.composing.contests import Contests
from cloche.config.finish_steps import FinishStep
from cloche.errors import ClocheError, host_trouble, is_full
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.keys import build_key, merge_key
from cloche.plan.plan import Plan
from cloche.records.events import Done, Note
from cloche.store import Key, Outcome, Remembered, make_key, record, remember
from cloche.tasks import kept_roots
from cloche.tasks.errors import StepError, StoppedError, no_room
from cloche.tasks.merge import OWN_ROOT_FORMAT


@dataclass(frozen=True, slots=True)
class Made:
    """The results of a package: ids of its binary package and of its layer.

    ``key`` is the digest of all that its merge could see. Different keys may give the same results.
    """

    gpkg: str
    layer: str
    key: str = field(compare=False)


class NotMergedError(LookupError):
    """A layer that a root needs does not exist yet."""


@dataclass(frozen=True, slots=True)
class Builder:
    """Makes the packages of one plan.

    ``depgraph`` is the id of the blob with the plan's resolution; ``inputs_of`` gives the digests
    of each package's own files.

    ``forced`` are ids of packages that are built even if their results are known; ``partial`` says
    that the plan is a part of the machine's, of which nothing is delivered. ``finish`` is what will
    be done to the machine's root after the last package, ``presences`` what images need in it.

    ``results`` holds, for each package that is done, also according to a forecast, its results and
    whether it was built; ``composed`` the ids of the layers made for composing roots (see
    `compose`); ``worked`` the seconds of each package's steps that were not reused; ``failed`` the
    packages whose failure was reported; ``copied`` the layers that the finish made of directories
    of the project, which may have changed since.
    """

    context: BuildContext
    plan: Plan
    depgraph: str
    inputs_of: Mapping[str, Mapping[str, str]]
    results: dict[str, tuple[Made, bool]] = field(default_factory=dict)
    composed: set[str] = field(default_factory=set)
    worked: dict[str, dict[str, float]] = field(default_factory=dict)
    contests: Contests = field(default_factory=Contests)
    failed: set[str] = field(default_factory=set)
    copied: dict[Path, Layer] = field(default_factory=dict)
    forced: frozenset[str] = frozenset()
    partial: bool = False
    finish: tuple[FinishStep, ...] = ()
    presences: tuple[Presence, ...] = ()

    def __call__(self, name: str, done: Mapping[str, str], leave: Callable[[], None]) -> str:
        """Make the layer of a package whose visible sets are ``done``; return its id.

        ``leave`` is called after the build, when only the merge is left.
        """
        package = self.plan.graph.by_id()[name]
        began = time.monotonic()
        try:
            if name in self.results:  # the forecast found it
                made, built = self.results[name]
                kept_roots.forget(self.context.store, kept_as(self.context, package))
            else:
                made, built = self.make(package, {o: self.results[o][0] for o in done}, leave)
        except StoppedError:
            raise
        except ClocheError as error:
            if self.context.running.stopped:
                raise StoppedError(name, "work") from error
            self.report_failure(name, error, time.monotonic() - began)
            raise
        except (OSError, sqlite3.Error) as error:
            known = self._refused(name, error)
            self.report_failure(name, known, time.monotonic() - began)
            raise known from error
        self.results[name] = made, built
        self.context.bus(
            Done(
                package=name,
                how="built" if built else "reused",
                seconds=time.monotonic() - began,
                worked=self.worked.get(name, {}),
                layer=made.layer,
            )
        )
        return made.layer

    def report_failure(self, name: str, error: ClocheError, seconds: float) -> None:
        """Report a failed package."""
        self.failed.add(name)
        reason = error.what if error.where == name else str(error)
        self.context.bus(
            Done(
                package=name,
                how="failed",
                seconds=seconds,
                reason=reason,
                log=getattr(error, "log", None),
                lines=tuple((error.detail or "").splitlines()),
                enter=getattr(error, "enter", None),
            )
        )

    def _refused(self, name: str, error: Exception) -> ClocheError:
        """The error for a refusal by the system outside of a sandbox: one package fails."""
        if is_full(error):
            path, free = str(self.context.store.path), self.context.worker.free_bytes
            return no_room(name, "keeping the result", path, free, self.context.policy.disk_reserve)
        return StepError(name, "keeping the result", str(host_trouble(error)))

    def make(
        self, package: Package, done: Mapping[str, Made], leave: Callable[[], None]
    ) -> tuple[Made, bool]:
        """Reuse or run both steps; the flag says whether anything was built."""
        earlier = self._earlier(package, done) if package.id in self.forced else None
        if package.binary is not None:
            gpkg, built = binpkg.obtain(self.context, package), False
        else:
            gpkg, built = self._built(package, done)
        leave()
        over = self.seen_by_merge(package, done)
        key = self.merge_key(package, gpkg, over)
        merged = self._once(package, key, lambda: self._merge(package, gpkg, over, key))
        outputs = merged.action.outputs
        kept_roots.forget(self.context.store, kept_as(self.context, package))
        if package.id in self.forced:
            self._compare(package, earlier, outputs["layer"])
        return Made(outputs["gpkg"], outputs["layer"], key.digest), built

    def _built(self, package: Package, done: Mapping[str, Made]) -> tuple[str, bool]:
        """The package's GPKG, and whether it was built."""
        build = self.seen_by_build(package, done)
        sources = self.live_sources(package, build)
        key = self.build_key(package, build, sources)
        step = self._once(package, key, lambda: self._build(package, build, key, sources))
        return step.action.outputs["gpkg"], step.made

    def _once(self, package: Package, key: Key, make: Callable[[], Outcome]) -> Remembered:
        """Run a step of a package unless its result is known; always for a forced package."""
        step = remember(
            self.context.store,
            key,
            package.id,
            make,
            anew=package.id in self.forced,
            waiting=self._waits(package),
        )
        if step.made:
            self.worked.setdefault(package.id, {})[key.kind] = step.action.seconds
        return step

    def _earlier(self, package: Package, done: Mapping[str, Made]) -> str | None:
        """The layer that would be reused. A new run overwrites its action in the index."""
        if package.binary is not None:
            gpkg = binpkg.found(self.context, package)
        else:
            sources = live.known(self.context, package, self.inputs_of[package.id])
            key = self.build_key(package, self.seen_by_build(package, done), sources)
            action = self.context.store.action(key.digest)
            gpkg = action.outputs["gpkg"] if action else None
        if gpkg is None:
            return None
        key = self.merge_key(package, gpkg, self.seen_by_merge(package, done))
        merged = self.context.store.action(key.digest)
        return merged.outputs["layer"] if merged else None

    def _compare(self, package: Package, earlier: str | None, layer: str) -> None:
        """Report how a forced build's layer compares to the one that would have been reused."""
        if earlier is None:
            text = f"its layer is {layer}; no earlier build to compare with"
        elif earlier == layer:
            text = f"the same layer as before, {layer}"
        else:
            text = f"its layer {layer} differs from the earlier one, {earlier}"
        self.context.bus(Note(text=f"{package.cpv}: rebuilt: {text}"))

    def _waits(self, package: Package) -> Callable[[], None]:
        text = f"{package.cpv}: another cloche process is working on it; waiting"
        return lambda: self.context.bus(Note(text=text))

    def seen_by_build(
        self, package: Package, done: Mapping[str, Made], *, look: bool = False
    ) -> Seen:
        """What a package's build sees over the ground; ``look`` as with `layers`."""
        visible = self.plan.visible[package.id]
        return self._seen(package, visible.build, visible.seed_build, done, look=look)

    def seen_by_merge(
        self, package: Package, done: Mapping[str, Made], *, look: bool = False
    ) -> Seen:
        """The same for its merge."""
        visible = self.plan.visible[package.id]
        return self._seen(package, visible.merge, visible.seed_merge, done, look=look)

    def _seen(
        self,
        package: Package,
        names: Sequence[str],
        of_seed: Sequence[str],
        done: Mapping[str, Made],
        *,
        look: bool,
    ) -> Seen:
        seed = self.context.inputs.of_seed(of_seed)
        over = [name for name in names if not self.in_own_root(name)]
        layers = (*seed, *self.layers(over, done, seed, look=look, where=package.id))
        if not self.in_own_root(package.id):
            return Seen(layers)
        inside = [name for name in names if self.in_own_root(name)]
        return Seen(layers, self.layers(inside, done, look=look, where=package.id))

    def in_own_root(self, name: str) -> bool:
        """Whether a package goes into the machine's own root, and not over the seed."""
        return self.context.inputs.own_root and not self.plan.graph.by_id()[name].broot

    def layers(
        self,
        names: Sequence[str],
        done: Mapping[str, Made],
        seed: Sequence[Layer] = (),
        *,
        where: str,
        look: bool = False,
    ) -> tuple[Layer, ...]:
        """Layers of packages that are done, in the order given, so that they go into one root.

        They all go over the ground, or all into the machine's own root. ``seed`` are layers of the
        seed in that root besides the base, and ``where`` names the root in a CollisionError. Some
        packages may have to be merged again. With ``look`` nothing is done: raises NotMergedError
        if a layer does not exist yet.
        """
        inputs = self.context.inputs
        own = any(map(self.in_own_root, names[:1]))
        composer = Composer(
            self.plan,
            lambda name: self.context.layer(done[name].layer),
            partial(self._again, done, look),
            base=() if own else inputs.ground,
            seed=seed,
            saw=lambda name: inputs.of_seed(self.plan.visible[name].seed_merge),
            any_hook="bashrc" in inputs.etc,
            contests=self.contests,
        )
        return composer.compose(names, where)

    def _again(
        self,
        done: Mapping[str, Made],
        look: bool,
        package: Package,
        over: Sequence[Layer],
        shared: Sequence[str],
    ) -> Layer:
        """Merge a package again, over these layers of a root."""
        gpkg = done[package.id].gpkg
        if self.in_own_root(package.id):
            seen = replace(self.seen_by_merge(package, done, look=look), root=tuple(over))
        else:
            seed = self.context.inputs.of_seed(self.plan.visible[package.id].seed_merge)
            seen = Seen((*seed, *over))
        key = self.merge_key(package, gpkg, seen)
        if look and self.context.store.action(key.digest) is None:  # without waiting for others
            raise NotMergedError(package.id)
        merged = remember(
            self.context.store,
            key,
            package.id,
            lambda: self._merge_again(package, gpkg, seen, shared),
            kind="compose",
        )
        layer = merged.action.outputs["layer"]
        self.composed.add(layer)
        return self.context.layer(layer)

    def live_sources(self, package: Package, seen: Seen, *, update: bool = False) -> Sources | None:
        """The sources of a live ebuild, fetched if necessary; None for all others.

        ``seen`` is what its build sees. Raises as `live.obtain`.
        """
        if not is_live(package):
            return None
        inputs = self.inputs_of[package.id]
        return live.obtain(self.context, package, inputs, seen, update=update)

    def build_key(self, package: Package, seen: Seen, sources: Sources | None = None) -> Key:
        """Key of the build step that sees this; ``sources`` are those of a live ebuild."""
        return build_key(
            package,
            inputs=self.inputs_of[package.id],
            layers=_named(seen.layers),
            root=None if seen.root is None else _named(seen.root),
            base=self.context.inputs.key_ground,
            live=sources.layer.id if sources else None,
        )

    def merge_key(self, package: Package, gpkg: str, seen: Seen) -> Key:
        """Key of the merge step of a binary package that sees this."""
        kept = {} if seen.root is None else {"root format": OWN_ROOT_FORMAT}
        return merge_key(
            package,
            gpkg=gpkg,
            inputs=self.inputs_of[package.id],
            layers=_named(seen.layers),
            root=None if seen.root is None else _named(seen.root),
            base={**self.context.inputs.key_ground, **kept},
        )

    def _refuse_known(self, kind: str, package: Package, key: Key) -> None:
        """Raise the failure that a step with these inputs had before, where that is enough."""
        if not self.context.policy.known_failures or package.id in self.forced:
            return
        if (error := failures.known(self.context.store, kind, package, key)) is not None:
            raise error

    def _build(self, package: Package, seen: Seen, key: Key, sources: Sources | None) -> Outcome:
        self._refuse_known("build-failed", package, key)
        fetch.fetch(self.context, package)
        # A forced build is to show whether the result is the same: it compiles all by itself.
        cached = package.id not in self.forced
        task = build_task(self.context, package, seen, sources, cached=cached)
        with self._recording_failure("build-failed", package, key):
            outcome = self.context.carry_out(task)
        return ccache.kept(self.context, package, task, outcome)

    @contextmanager
    def _recording_failure(self, kind: str, package: Package, key: Key) -> Iterator[None]:
        """Record a step that fails as an action without outputs, for `cloche history`."""
        began = time.monotonic()
        try:
            with self._explaining(package):
                yield
        except ClocheError as error:
            path = getattr(error, "log", None)
            if path and not self.context.running.stopped:
                log = str(Path(path).relative_to(self.context.store.logs))
                # A unique key: the same step may fail many times.
                own = make_key(kind, {**key.parts, "log": log})
                took = time.monotonic() - began
                failure = replace(own, parts=key.parts)
                outcome = Outcome({}, log, data=failures.data_of(error))
                record(self.context.store, failure, package.id, outcome, took)
            raise

    def _merge(self, package: Package, gpkg: str, seen: Seen, key: Key) -> Outcome:
        self._refuse_known("merge-failed", package, key)
        before = self.context.store.last_action("merge", package.id)
        with self._recording_failure("merge-failed", package, key):
            outcome = self.context.carry_out(merge_task(self.context, package, gpkg, seen))
        layer = outcome.outputs["layer"]
        if before is not None and before.outputs["layer"] == layer:
            # The same result as before: keep the layer, and the package it was made from, unless
            # that is lost: blobs can be damaged and removed.
            first = before.outputs["gpkg"]
            gpkg = first if self.context.store.has_blob(first) else gpkg
        return replace(outcome, outputs={"gpkg": gpkg, "layer": layer})

    def _merge_again(
        self, package: Package, gpkg: str, seen: Seen, shared: Sequence[str]
    ) -> Outcome:
        """Merge a package again, over others that have some of its names, too."""
        more = f" and {len(shared) - SHOWN} more" if len(shared) > SHOWN else ""
        names = ", ".join(f"/{name}" for name in shared[:SHOWN]) + more
        text = f"{package.cpv} is merged again over packages that also have {names}"
        self.context.bus(Note(text=text))
        task = merge_task(self.context, package, gpkg, seen, quiet=True)
        with self._explaining(package):
            outcome = self.context.carry_out(task)
        return replace(outcome, outputs={"gpkg": gpkg, **outcome.outputs})

    @contextmanager
    def _explaining(self, package: Package) -> Iterator[None]:
        """Add hints to the error of a step that fails."""
        try:
            yield
        except StepError as error:
            explain(self.context, package, error)
            raise


def _named(layers: Sequence[Layer]) -> list[tuple[str, str]]:
    return [(layer.label, layer.id) for layer in layers]
