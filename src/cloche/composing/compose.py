"""Composes layers into one root such that each is what a merge in that root would give.

Each package is merged over its own run-time closure. Beside other packages its layer may be wrong:
a file that hooks write (``/etc/passwd``, an index) is in the layer as a whole and would hide
another package's changes; a file installed through another package's link lies elsewhere; a
directory may have another mode. Then the package is merged again, over that other package as well.
Such a layer is only used in these roots. If Portage refuses the merge, the packages cannot be in
one root (see `collisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cloche.composing.collisions import Collision, CollisionError, collisions, ignored_by, owned
from cloche.composing.contests import NO_WAYS, Contests, Ways
from cloche.composing.footprint import footprint
from cloche.composing.places import Places, look_into
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan
from cloche.tasks.errors import StepError

#: Phases (of DEFINED_PHASES) that can write to a root without an entry in CONTENTS.
HOOKS = frozenset({"setup", "preinst", "postinst", "prerm", "postrm"})

#: Portage's messages when it refuses to merge over existing files.
REFUSED = "NOT merged"

Refused = tuple[str, str, tuple[str, ...]]
LayerOf = Callable[[str], Layer]
#: Merges a package again over these layers; the last argument lists the contested names.
Again = Callable[[Package, Sequence[Layer], Sequence[str]], Layer]


@dataclass(frozen=True)
class Composer:
    """Composes roots of one plan.

    ``layer_of`` gives a package's own layer; ``base`` are the layers below all others. ``seed`` are
    additional parts of the seed in a root, each with its own label, and ``saw`` gives those that a
    package's merge saw. With ``any_hook`` packages without hooks may also write to any file, by the
    user's bashrc.
    """

    plan: Plan
    layer_of: LayerOf
    again: Again
    base: Sequence[Layer] = ()
    seed: Sequence[Layer] = ()
    saw: Callable[[str], Sequence[Layer]] = lambda _: ()
    any_hook: bool = False
    contests: Contests = field(default_factory=Contests)

    @cached_property
    def packages(self) -> Mapping[str, Package]:
        """The plan's packages by their id."""
        return self.plan.graph.by_id()

    def seen_here(self, name: str) -> tuple[str, ...]:
        """What a package's merge sees in its root: tools that it sees beside it are in another."""
        seen, broot = self.plan.visible[name].merge, self.packages[name].broot
        return tuple(other for other in seen if self.packages[other].broot == broot)

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The position of each package in merge order."""
        return {package.id: place for place, package in enumerate(self.plan.packages)}

    def compose(self, names: Sequence[str], where: str = "") -> tuple[Layer, ...]:
        """Layers of the packages ``names`` (in merge order), each right over those below it.

        Raises CollisionError with all collisions; ``where`` names the root.
        """
        for part in self.seed:
            self.contests.learn(part)
        composed: dict[str, Layer] = {}
        refused: list[Refused] = []
        alone = {name: self.layer_of(name) for name in names}
        if self.contests.all_free(alone.values()):
            return tuple(alone.values())
        changed: dict[str, set[str]] = {}  # of those composed: what was merged again, over what
        for name in names:
            # Checked for each anew: a package merged again may have other paths.
            free = self.contests.all_free((alone[name],))
            if free and changed.keys().isdisjoint(self.seen_here(name)):
                composed[name] = alone[name]
                continue
            try:
                layer, over = self._fitted(self.packages[name], composed, changed, where)
            except StepError as error:
                if REFUSED not in error.what:
                    raise
                found = self._refusals(self.packages[name], composed)
                if not found and not refused:  # later ones may only be consequences
                    raise
                refused += [(each.other or "the seed", name, each.paths) for each in found]
                layer, over = alone[name], set()
            composed[name] = layer
            if layer.id != alone[name].id:
                changed[name] = over
        if refused:
            raise CollisionError(where, tuple(refused))
        return tuple(composed.values())

    def _rivals(
        self,
        package: Package,
        layer: Layer,
        composed: Mapping[str, Layer],
        seen: Collection[str] | None = None,
    ) -> dict[str, frozenset[str]]:
        """The names that contest a layer in this root; it was merged over ``seen``.

        At first that is the package's own closure, unless the closure differs in this root.
        """
        own = self.seen_here(package.id)
        ways = self._ways(package, layer, composed, seen)
        near = self.contests.of(layer, ways)
        if not near:
            return {}
        hooks = self._hooks(package)
        unseen = [
            (name, below)
            for name, below in composed.items()
            if (name not in own or below.id != self.layer_of(name).id)
            and _slot(self.packages[name]) != _slot(package)
        ]
        saw = {part.id for part in self.saw(package.id)} if self.seed else ()
        unseen += [(part.label, part) for part in self.seed if part.id not in saw]
        rivals = {}
        for name, below in unseen:
            if below.id not in near or (seen is not None and name in seen):
                continue
            if names := _contested(layer, below, ways, hooks):
                rivals[name] = names
        return rivals

    def _refusals(self, package: Package, composed: Mapping[str, Layer]) -> list[Collision]:
        """Why Portage refuses to merge a package over this root."""
        return collisions(
            owned(self.layer_of(package.id), package),
            (owned(below, self.packages[name]) for name, below in composed.items()),
            look_into((*self.base, *self.seed, *composed.values())),
            ignored_by([package]),
        )

    def _fitted(
        self,
        package: Package,
        composed: Mapping[str, Layer],
        changed: Mapping[str, Collection[str]],
        where: str,
    ) -> tuple[Layer, set[str]]:
        """The package's layer over those below it, merged again if necessary, and over what.

        Over another package's links its files get to other paths, where further packages may be in
        the way. Their owners are only found with the links: what was ``changed`` comes with what
        lay beneath it.
        """
        layer = self.layer_of(package.id)
        rivals = self._rivals(package, layer, composed)
        own = self.seen_here(package.id)
        # Its own references (a user's group by its number) may have changed since.
        moved = (
            self._hooks(package)
            and any(n in composed and composed[n].id != self.layer_of(n).id for n in own)
            and bool(footprint(layer).written)
        )
        over = set(own)
        while rivals or moved:
            over.update(rivals)
            for name in rivals.keys() & composed.keys():
                below = changed.get(name, self.seen_here(name))
                over.update(n for n in below if n in composed or n not in self.rank)
            contested = frozenset[str]().union(*rivals.values()) or footprint(layer).written
            try:
                layer = self.again(package, self._beneath(over, composed, where), sorted(contested))
            except StepError as error:
                if REFUSED in error.what:
                    error.todo = f"here it is merged over {', '.join(sorted(rivals))} as well"
                raise
            rivals = self._rivals(package, layer, composed, seen=over)
            moved = False
        return layer, over

    def _beneath(
        self, over: Collection[str], composed: Mapping[str, Layer], where: str
    ) -> tuple[Layer, ...]:
        """What a package is merged over again: layers of the seed and the plan, in merge order."""
        parts = tuple(part for part in self.seed if part.label in over)
        names = sorted(self.rank.keys() & set(over), key=self.rank.__getitem__)
        if composed.keys() >= set(names):
            return (*parts, *(composed[name] for name in names))
        # What a package only needs for its merge is not part of this root.
        return (*parts, *self.compose(names, where))

    def _ways(
        self,
        package: Package,
        layer: Layer,
        composed: Mapping[str, Layer],
        seen: Collection[str] | None,
    ) -> Ways:
        """What the package's paths lead through, in its closure's old and present layers."""
        if not self.contests.indirect(layer):
            return NO_WAYS
        own = self.seen_here(package.id)
        names = sorted(
            self.rank.keys() & set(own if seen is None else seen), key=self.rank.__getitem__
        )
        bottom = (*self.base, *self.saw(package.id))
        bottom += tuple(part for part in self.seed if seen is not None and part.label in seen)
        alone = [self.layer_of(name) for name in names]
        here = [composed.get(name, each) for name, each in zip(names, alone, strict=True)]
        ways = _ways(layer, (*bottom, *here))
        if seen is None and here != alone:
            other = _ways(layer, (*bottom, *alone))
            ways = Ways(ways.hinges | other.hinges, ways.passed | other.passed)
        return ways

    def _hooks(self, package: Package) -> bool:
        return self.any_hook or bool(HOOKS & set(package.defined_phases))


@lru_cache(maxsize=1 << 16)
def _contested(upper: Layer, lower: Layer, ways: Ways, hooks: bool) -> frozenset[str]:
    """The names that require merging a package again over another one that it did not see.

    A package's file over one without an owner is not among them: Portage replaces the latter.
    """
    up, low = footprint(upper), footprint(lower)
    files = low.others | low.owned
    found = set(up.directories.keys() & files)
    found.update(
        name
        for name in up.directories.keys() & low.directories.keys()
        if up.directories[name] != low.directories[name]
    )
    found |= (ways.hinges & (files | low.directories.keys())) | (ways.passed & files)
    found |= up.owned & (low.directories.keys() | low.indirect | low.owned)
    found.update(n for n in up.others & low.others if up.may_own(n) and low.may_own(n))
    if hooks:
        found |= up.written & (low.others | low.directories.keys())
    return frozenset(found)


@lru_cache(maxsize=4096)
def _ways(layer: Layer, under: tuple[Layer, ...]) -> Ways:
    """The links between a package's names and the real paths of its files over these layers."""
    places = Places(look_into(under))
    for name in footprint(layer).indirect:
        places.directory(name)
    return Ways(frozenset(places.hinges), frozenset(places.passed))


def _slot(package: Package) -> str:
    return f"{package.cp}:{package.slot}"
