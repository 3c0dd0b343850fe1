"""Which layers are in each other's way: they have a name in common that both do not own alike.

Most layers share nothing but directories. This index says so at the cost of one look at each layer,
however many roots they are part of.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import NamedTuple

from cloche.build.footprint import Attributes, Footprint, footprint
from cloche.layers import Layer


class Ways(NamedTuple):
    """Names that a package's paths lead through beside those of its layer; see `Places`."""

    hinges: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()


NO_WAYS = Ways()


class Contests:
    """An index of names. Layers are added when they are first asked for; any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, set[str]] = {}
        self._indirect: dict[str, frozenset[str]] = {}
        # By the hash of a name: two names of one hash only cost a second look at two layers.
        self._directories: dict[int, dict[Attributes, list[str]]] = {}
        self._claimed: dict[int, list[str]] = {}
        self._others: dict[int, list[str]] = {}

    def of(self, layer: Layer, ways: Ways = NO_WAYS) -> set[str]:
        """Ids of the layers known so far that may be in the way of this one, or it of them."""
        self.learn(layer)
        with self._lock:
            return self._known[layer.id].union(*self._on(ways))

    def indirect(self, layer: Layer) -> frozenset[str]:
        """Directories of the layer's package that lie behind links; see `Footprint`."""
        self.learn(layer)
        return self._indirect[layer.id]

    def learn(self, layer: Layer) -> None:
        """Add a layer, if it is not there yet."""
        if layer.id not in self._known:
            names = footprint(layer)
            with self._lock:
                if layer.id not in self._known:
                    self._add(layer.id, names)

    def _on(self, ways: Ways) -> Iterable[list[str]]:
        for name in map(hash, ways.hinges | ways.passed):
            yield self._others.get(name, [])
        for name in map(hash, ways.hinges):
            yield from self._directories.get(name, {}).values()

    def _add(self, id: str, names: Footprint) -> None:
        self._indirect[id] = names.indirect
        found: set[str] = set()
        for name, attributes in names.directories.items():
            number = hash(name)
            found.update(self._others.get(number, ()))
            alike = self._directories.setdefault(number, {})
            if len(alike) > 1 or (alike and attributes not in alike):
                found.update(*(ids for other, ids in alike.items() if other != attributes))
            alike.setdefault(attributes, []).append(id)
        for number in map(hash, names.indirect):
            found.update(self._others.get(number, ()))
            self._claimed.setdefault(number, []).append(id)
        for number in map(hash, names.others | names.owned):
            found.update(self._claimed.get(number, ()))
            if number in self._directories:
                found.update(*self._directories[number].values())
            there = self._others.get(number)
            if there is None:
                self._others[number] = [id]
            else:
                found.update(there)
                there.append(id)
        self._known[id] = found
        found.discard(id)
        for other in found:
            self._known[other].add(id)
