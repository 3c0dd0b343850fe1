"""Putting layers into one root such that each is what Portage makes of its package in that root.

Each package is merged over its own run-time closure. Beside others its layer may be wrong: what a
hook writes (``/etc/passwd``, an index) no package owns, so a layer holds it whole and would hide
what another one says there; a link of another package leads elsewhere what is installed through it;
a directory may have another mode there. Then the package is merged once more, over that other
package as well. Such a layer is made for these roots alone. What Portage would refuse to merge is
refused here, too (see `collisions`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cloche.build.collisions import Collision, collisions, ignored_by, owned
from cloche.build.contests import NO_WAYS, Contests, Ways
from cloche.build.errors import CollisionError
from cloche.build.footprint import footprint
from cloche.build.places import Places, look_into
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.plan import Plan

#: Phases (of DEFINED_PHASES) that can write to a root behind CONTENTS.
HOOKS = frozenset({"setup", "preinst", "postinst", "prerm", "postrm"})

LayerOf = Callable[[str], Layer]
#: Merges a package once more over these layers; the last argument says what is contested.
Again = Callable[[Package, Sequence[Layer], Sequence[str]], Layer]


@dataclass(frozen=True, slots=True)
class Composer:
    """Composes roots of one plan.

    ``layer_of`` gives the layer that a package has by itself; ``base`` is what lies under all of
    them. With ``any_hook`` packages without hooks of their own may write to any file, too: the
    user's bashrc does so for them.
    """

    plan: Plan
    layer_of: LayerOf
    again: Again
    base: Sequence[Layer] = ()
    any_hook: bool = False
    contests: Contests = field(default_factory=Contests)

    def compose(self, names: Sequence[str], where: str = "") -> tuple[Layer, ...]:
        """Layers of the packages ``names`` (in merge order) such that each knows of those below it.

        Raises CollisionError with all that Portage would refuse; ``where`` names the root.
        """
        composed: dict[str, Layer] = {}
        refused: list[tuple[str, str, tuple[str, ...]]] = []
        packages = self.plan.graph.by_id()
        for name in names:
            package, layer = packages[name], self.layer_of(name)
            rivals = self._rivals(package, layer, composed)
            found = self._refusals(package, rivals, composed)
            refused += [(each.other or "the seed", name, each.paths) for each in found]
            composed[name] = layer if found else self._fitted(package, rivals, composed)
        if refused:
            raise CollisionError(where, tuple(refused))
        return tuple(composed.values())

    def _rivals(
        self,
        package: Package,
        layer: Layer,
        composed: Mapping[str, Layer],
        seen: Collection[str] | None = None,
    ) -> dict[str, Rival]:
        """The layers of this root that may be in the way of one, which was merged over ``seen``.

        At first those are the package's own closure, unless they are others in this root.
        """
        own = self.plan.visible[package.id].merge
        ways = NO_WAYS
        if self.contests.indirect(layer):
            over = own if seen is None else seen
            under = [composed.get(n) or self.layer_of(n) for n in over]
            ways = _ways(layer, (*self.base, *under))
        near = self.contests.of(layer, ways)
        if not near:
            return {}
        packages = self.plan.graph.by_id()
        hooks = self._hooks(package)
        rivals = {}
        for name, below in composed.items():
            if below.id not in near or _slot(packages[name]) == _slot(package):
                continue
            if seen is None:
                known = name in own and below.id == self.layer_of(name).id
            else:
                known = name in seen
            if not known:
                rivals[name] = _rival(layer, below, ways, hooks)
        return rivals

    def _refusals(
        self, package: Package, rivals: Mapping[str, Rival], composed: Mapping[str, Layer]
    ) -> list[Collision]:
        """Why Portage would not merge a package over this root."""
        names = frozenset[str]().union(*(rival.names for rival in rivals.values()))
        if not names:
            return []
        layer = self.layer_of(package.id)
        mine = owned(layer, package)
        within = _Within(names.union(self.contests.indirect(layer)))
        kinds = {name: kind for name, kind in mine.kinds.items() if within(name)}
        if not kinds:
            return []
        packages = self.plan.graph.by_id()
        return collisions(
            replace(mine, kinds=kinds),
            (owned(below, packages[name]) for name, below in composed.items()),
            look_into((*self.base, *composed.values())),
            ignored_by([package]),
        )

    def _fitted(
        self, package: Package, rivals: Mapping[str, Rival], composed: Mapping[str, Layer]
    ) -> Layer:
        """The package's layer over those below it, merged again where it has to be.

        Over another one's links it gets to other places, where further ones may be in its way.
        """
        layer = self.layer_of(package.id)
        own = self.plan.visible[package.id].merge
        # What it says of its own (a user's group by its number) may have become another since.
        moved = (
            self._hooks(package)
            and any(n in composed and composed[n].id != self.layer_of(n).id for n in own)
            and bool(footprint(layer).written)
        )
        over = set(own)
        while True:
            acting = {name: rival.acting for name, rival in rivals.items() if rival.acting}
            if not acting and not moved:
                return layer
            for name in acting:
                over.update(n for n in self.plan.visible[name].merge if n in composed)
                over.add(name)
            contested = sorted(set().union(*acting.values()) or footprint(layer).written)
            layer = self.again(package, self._beneath(over, composed), contested)
            rivals = self._rivals(package, layer, composed, seen=over)
            moved = False

    def _beneath(self, over: Collection[str], composed: Mapping[str, Layer]) -> tuple[Layer, ...]:
        if composed.keys() >= set(over):
            return tuple(made for name, made in composed.items() if name in over)
        # What a package needs for its merge alone is no part of this root.
        return self.compose([p.id for p in self.plan.packages if p.id in over])

    def _hooks(self, package: Package) -> bool:
        return self.any_hook or bool(HOOKS & set(package.defined_phases))


@dataclass(frozen=True, slots=True)
class Rival:
    """What two layers contest. Of the ``names``, for the ``acting`` a package is merged again."""

    names: frozenset[str]
    acting: frozenset[str]


@lru_cache(maxsize=1 << 16)
def _rival(upper: Layer, lower: Layer, ways: Ways, hooks: bool) -> Rival:
    """What a layer contests with one below it that its merge did not see.

    Two owners of one file are for `collisions`; a file over one that nobody owns is just that.
    """
    up, low = footprint(upper), footprint(lower)
    below = low.others | low.directories.keys()
    acting = set(up.directories.keys() & low.others)
    acting.update(
        name
        for name in up.directories.keys() & low.directories.keys()
        if up.directories[name] != low.directories[name]
    )
    acting |= (ways.links & below) | (ways.passed & low.others)
    acting |= (up.others & up.owned) & low.directories.keys()
    if hooks:
        acting |= up.written & below
    names = acting | ((up.others | up.owned) & (below | low.owned))
    return Rival(frozenset(names), frozenset(acting))


@lru_cache(maxsize=4096)
def _ways(layer: Layer, under: tuple[Layer, ...]) -> Ways:
    """The links, and what they lead through, between a package's names and where its files lie."""
    places = Places(look_into((*under, layer)))
    for name in footprint(layer).indirect:
        places.directory(name)
    return Ways(frozenset(places.links), frozenset(places.passed))


def _slot(package: Package) -> str:
    return f"{package.cp}:{package.slot}"


class _Within:
    """Whether a name is one of some, or lies below one."""

    def __init__(self, names: frozenset[str]) -> None:
        self._known = dict.fromkeys(names, True) | {"": False}

    def __call__(self, name: str) -> bool:
        if name not in self._known:
            self._known[name] = self(name.rpartition("/")[0])
        return self._known[name]
