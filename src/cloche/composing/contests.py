"""An index of names, which finds layers that contest each other: that share other than directories.

Most layers only share directories. The index reads each layer once, however many roots it is part
of. Its results are stored with the machine, so that a plan whose packages are all done reads no
layer.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import NamedTuple

import msgspec

from cloche.composing.footprint import Attributes, Footprint, footprint
from cloche.layers import Layer
from cloche.store import Outcome, Store, make_key, record

KIND = "contests-2"  # of the action; another number whenever something else is found in a layer


class Ways(NamedTuple):
    """Names that a package's paths lead through besides those of its layer; see `Places`."""

    hinges: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()


NO_WAYS = Ways()


class Known(msgspec.Struct, frozen=True):
    """The results for a layer: parts of its `Footprint`, and ids of the layers that contest it."""

    indirect: frozenset[str]
    contested: frozenset[str]
    gone: frozenset[str]


class Memory(msgspec.Struct, frozen=True):
    """The results of an earlier run, for each layer, and for each name looked up for `Ways`.

    For a name: the ids of the layers that have it as a directory, and those that have it otherwise.
    """

    layers: dict[str, Known] = {}
    names: dict[str, tuple[frozenset[str], frozenset[str]]] = {}


class Contests:
    """An index of names. Layers are added on first use. Safe to use from several threads.

    As long as the ``memory`` has all answers, no layer is read.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._lock = threading.Lock()
        self._memory = memory or Memory()
        self._live = memory is None
        self._layers: dict[str, Layer] = {}
        self._asked: set[str] = set()
        self._known: dict[str, set[str]] = {}
        self._indirect: dict[str, frozenset[str]] = {}
        self._gone: dict[str, frozenset[str]] = {}
        self._contested = {
            id for id, known in self._memory.layers.items() if known.contested or known.indirect
        }
        # By the hash of a name: two names of one hash only cost a second look at two layers.
        self._directories: dict[int, dict[Attributes, list[str]]] = {}
        self._claimed: dict[int, list[str]] = {}
        self._others: dict[int, list[str]] = {}

    def of(self, layer: Layer, ways: Ways = NO_WAYS) -> set[str]:
        """Ids of the layers known so far that may contest this one."""
        names = ways.hinges | ways.passed
        self.learn(layer)
        with self._lock:
            if not self._live and not self._memory.names.keys() >= names:
                self._read_all()
            self._asked |= names
            if self._live:
                found = set(self._known[layer.id])
            else:
                found = set(self._memory.layers[layer.id].contested)
            for name in names:
                directories, others = self._at(name)
                found |= others | directories if name in ways.hinges else others
            return found

    def all_free(self, layers: Collection[Layer]) -> bool:
        """Whether no layer known so far contests any of these, in any root.

        All of them are added before the first lookup.
        """
        ids = {layer.id for layer in layers}
        if not ids <= self._layers.keys():
            for layer in layers:
                self.learn(layer)
        with self._lock:
            return self._contested.isdisjoint(ids)

    def indirect(self, layer: Layer) -> frozenset[str]:
        """Directories of the layer's package that lie behind links; see `Footprint`."""
        self.learn(layer)
        with self._lock:
            if self._live:
                return self._indirect[layer.id]
            return self._memory.layers[layer.id].indirect

    def gone(self, layer: Layer) -> frozenset[str]:
        """What the layer takes away; see `Footprint`."""
        self.learn(layer)
        with self._lock:
            return self._gone[layer.id] if self._live else self._memory.layers[layer.id].gone

    def learn(self, layer: Layer) -> None:
        """Add a layer, if it is not there yet."""
        if layer.id in self._layers:
            return
        with self._lock:
            self._layers[layer.id] = layer
            if self._live or layer.id not in self._memory.layers:
                self._read_all()

    def memory(self) -> Memory | None:
        """The results for all layers that were looked up; None if nothing is new."""
        with self._lock:
            if not self._live:
                return None
            layers = {
                id: Known(self._indirect[id], frozenset(self._known[id]), self._gone[id])
                for id in self._layers
            }
            return Memory(layers, {name: self._at(name) for name in self._asked})

    def _at(self, name: str) -> tuple[frozenset[str], frozenset[str]]:
        """Ids of the layers that have a name as a directory, and those that have it otherwise."""
        if not self._live:
            return self._memory.names[name]
        number = hash(name)
        directories = frozenset[str]().union(*self._directories.get(number, {}).values())
        return directories, frozenset(self._others.get(number, ()))

    def _read_all(self) -> None:
        """Read all layers that were looked up so far, and stop using the memory."""
        if not self._live:
            self._live, self._contested = True, set()
        for id, layer in self._layers.items():
            if id not in self._known:
                self._add(id, footprint(layer))

    def _add(self, id: str, names: Footprint) -> None:
        self._indirect[id], self._gone[id] = names.indirect, names.gone
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
        found.discard(id)
        self._known[id] = found
        self._contested |= found
        if found or names.indirect:
            self._contested.add(id)
        for other in found:
            self._known[other].add(id)


def recalled(store: Store, machine: str) -> Contests:
    """The index of a machine, with the results of its last build."""
    action = store.last_action(KIND, machine)
    blob = action.outputs["contests"] if action else None
    if blob is None or not store.has_blob(blob):
        return Contests()
    try:
        return Contests(msgspec.json.decode(store.blob(blob).path.read_bytes(), type=Memory))
    except msgspec.DecodeError:
        return Contests()


def remember(store: Store, machine: str, contests: Contests) -> str | None:
    """Store an index's results for `recalled`; return the blob's id, which must be pinned."""
    memory = contests.memory()
    if memory is None:
        action = store.last_action(KIND, machine)
        return action.outputs["contests"] if action else None
    with store.workspace("contests") as room:
        path = room / "contests.json"
        path.write_bytes(msgspec.json.encode(memory, order="deterministic"))
        blob = store.add_blob(path, f"contests of {machine}").id
    key = make_key(KIND, {"machine": machine, "contests": blob})
    record(store, key, machine, Outcome({"contests": blob}), 0.0)
    return blob
