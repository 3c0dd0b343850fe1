"""Putting layers into one root such that each is what Portage makes of its package in that root.

Each package is merged over its own run-time closure. Beside others its layer may be wrong: what a
hook writes (``/etc/passwd``, an index) no package owns, so a layer holds it whole and would hide
what another one says there; what is installed through another one's link lies elsewhere;
a directory may have another mode there. Then the package is merged once more, over that other
package as well. Such a layer is made for these roots alone. Where Portage refuses to merge it
there, the packages cannot be in one root (see `collisions`).
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

#: Phases (of DEFINED_PHASES) that can write to a root behind CONTENTS.
HOOKS = frozenset({"setup", "preinst", "postinst", "prerm", "postrm"})

#: What Portage says when it does not merge a package over what is there.
REFUSED = "NOT merged"

Refused = tuple[str, str, tuple[str, ...]]
LayerOf = Callable[[str], Layer]
#: Merges a package once more over these layers; the last argument says what is contested.
Again = Callable[[Package, Sequence[Layer], Sequence[str]], Layer]


@dataclass(frozen=True)
class Composer:
    """Composes roots of one plan.

    ``layer_of`` gives the layer that a package has by itself; ``base`` is what lies under all of
    them. ``seed`` are parts of the seed that a root has besides, each with a label of its own, and
    ``saw`` gives those that a package's merge saw. With ``any_hook`` packages without hooks of
    their own may write to any file, too: the user's bashrc does so for them.
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

    @cached_property
    def rank(self) -> Mapping[str, int]:
        """The place of each package in merge order."""
        return {package.id: place for place, package in enumerate(self.plan.packages)}

    def compose(self, names: Sequence[str], where: str = "") -> tuple[Layer, ...]:
        """Layers of the packages ``names`` (in merge order) such that each knows of those below it.

        Raises CollisionError with all that Portage would refuse; ``where`` names the root.
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
            # Asked anew for each: one that was merged again may be in the way at its new place.
            free = self.contests.all_free((alone[name],))
            if free and changed.keys().isdisjoint(self.plan.visible[name].merge):
                composed[name] = alone[name]
                continue
            try:
                layer, over = self._fitted(self.packages[name], composed, changed, where)
            except StepError as error:
                if REFUSED not in error.what:
                    raise
                found = self._refusals(self.packages[name], composed)
                if not found and not refused:  # after one, others may only follow from it
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
        """What of this root is in a layer's way, which was merged over ``seen``: the names.

        At first it has seen the package's own closure, unless that is another one in this root.
        """
        own = self.plan.visible[package.id].merge
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
        """Why Portage does not merge a package over this root, in the packages' names."""
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
        """The package's layer over those below it, merged again where it has to be, and over what.

        Over another one's links it gets to other places, where further ones may be in its way.
        Who owns those is only seen with the links: what was ``changed`` comes with what lay
        beneath it.
        """
        layer = self.layer_of(package.id)
        rivals = self._rivals(package, layer, composed)
        own = self.plan.visible[package.id].merge
        # What it says of its own (a user's group by its number) may have become another since.
        moved = (
            self._hooks(package)
            and any(n in composed and composed[n].id != self.layer_of(n).id for n in own)
            and bool(footprint(layer).written)
        )
        over = set(own)
        while rivals or moved:
            over.update(rivals)
            for name in rivals.keys() & composed.keys():
                below = changed.get(name, self.plan.visible[name].merge)
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
        """What a package is merged over again: of the seed, and of the plan in merge order."""
        parts = tuple(part for part in self.seed if part.label in over)
        names = sorted(self.rank.keys() & set(over), key=self.rank.__getitem__)
        if composed.keys() >= set(names):
            return (*parts, *(composed[name] for name in names))
        # What a package needs for its merge alone is no part of this root.
        return (*parts, *self.compose(names, where))

    def _ways(
        self,
        package: Package,
        layer: Layer,
        composed: Mapping[str, Layer],
        seen: Collection[str] | None,
    ) -> Ways:
        """What the package's paths led through; of its closure, as it was and as it is here."""
        if not self.contests.indirect(layer):
            return NO_WAYS
        own = self.plan.visible[package.id].merge
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
    """The names for which a package is merged again over another one that it did not see.

    A file of its own over one that nobody owns is no reason: Portage puts it in that one's place.
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
    """What lies between a package's names and where its files got to over these layers."""
    places = Places(look_into(under))
    for name in footprint(layer).indirect:
        places.directory(name)
    return Ways(frozenset(places.hinges), frozenset(places.passed))


def _slot(package: Package) -> str:
    return f"{package.cp}:{package.slot}"
