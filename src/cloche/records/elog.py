"""elog messages of ebuilds: checked when they leave a sandbox, kept, and looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.plan.depgraph import Package
from cloche.store import Action, Store

Level = Literal["log", "warn", "error", "qa"]

SHOWN: tuple[Level, ...] = ("log", "warn", "error")
"""Classes shown at the end of a build: Portage's default PORTAGE_ELOG_CLASSES."""

_MOST = 64 << 10  # characters of one step's messages
_DATA = "elog"  # in the data of an action


class Message(msgspec.Struct, frozen=True):
    """A phase's messages of one level: ``elog``, ``ewarn``, ``eerror`` or ``eqawarn``."""

    phase: str
    level: Level
    lines: tuple[str, ...]


def messages_of(result: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages in a guest's answer, which is untrusted: they are checked, and cut."""
    return _read(result.get(_DATA))


def as_data(messages: Sequence[Message]) -> dict[str, Any]:
    """The messages as data of an action."""
    return {_DATA: msgspec.to_builtins(list(messages))} if messages else {}


def kept_in(action: Action) -> tuple[Message, ...]:
    """The messages in the data of an action."""
    return _read(action.data.get(_DATA))


def messages_for(
    store: Store, package: Package, outputs: Mapping[str, str]
) -> Iterator[tuple[str, Message]]:
    """The messages of the steps that made a package, each with its step.

    ``outputs`` are the ids of what is installed: "layer", and "gpkg" where it is known.
    """
    merged = _maker(store, "merge", package, "layer", outputs.get("layer"))
    if merged is None:  # in this machine it was merged again, over others
        merged = store.last_action("merge", package.id)
    gpkg = outputs.get("gpkg") or (merged.outputs.get("gpkg") if merged else None)
    built = _maker(store, "build", package, "gpkg", gpkg)
    for step, action in (("build", built), ("merge", merged)):
        for message in kept_in(action) if action else ():
            yield step, message


def _maker(store: Store, kind: str, package: Package, output: str, id: str | None) -> Action | None:
    """The newest action of a package that gave this output."""
    actions = reversed(store.actions_of(kind, package.id))
    return next((each for each in actions if each.outputs.get(output) == id), None)


def _read(data: Any) -> tuple[Message, ...]:
    try:
        found = msgspec.convert(data or [], tuple[Message, ...])
    except NOT_DECODABLE:
        return ()
    kept, room = [], _MOST
    for message in found:
        room -= sum(map(len, message.lines)) + len(message.phase)
        if room < 0:
            break
        kept.append(message)
    return tuple(kept)
