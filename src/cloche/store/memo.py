"""Steps that are done once: look up by key, lock, make, record.

A key is made of named parts, and the parts are kept beside it, so that "why was this rebuilt" is a
comparison of two dictionaries.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from cloche.store.records import Action

if TYPE_CHECKING:
    from cloche.store.store import Store

KEY_FORMAT = "1"  # raise it when the meaning of a part changes


@dataclass(frozen=True, slots=True)
class Key:
    """A step's digest and what it was made of; ``kind`` says which kind of step it is."""

    kind: str
    digest: str
    parts: Mapping[str, str]


def make_key(kind: str, parts: Mapping[str, str]) -> Key:
    """Digest named parts, whatever their order, for a step of this kind."""
    whole = {"kind": kind, "format": KEY_FORMAT, **parts}
    canonical = msgspec.json.encode(whole, order="deterministic")
    return Key(kind, hashlib.sha256(canonical).hexdigest(), whole)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step gave: ids of trees and blobs by name, and its log, relative to the store's.

    ``seconds`` is what the step itself took, where that is not all of the time it was waited for;
    ``data`` the caller's own, in types that JSON knows.
    """

    outputs: Mapping[str, str]
    log: str | None = None
    seconds: float | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A step that is done; ``made`` says whether this call did it."""

    action: Action
    made: bool


def remember(
    store: Store,
    key: Key,
    name: str,
    make: Callable[[], Outcome],
    *,
    kind: str | None = None,
    anew: bool = False,
    waiting: Callable[[], None] | None = None,
) -> Remembered:
    """Give the action of a key: recorded before, or ``make`` does the step and it is recorded now.

    One process or thread makes a key at a time, and the others take what it made; ``waiting`` is
    called once where this one has to wait. With ``anew`` the step is done even if it is recorded.
    ``name`` is what the step is about, ``kind`` the action's, which is the key's where it is None.
    Raises what ``make`` raises; nothing is recorded then.
    """
    action = None if anew else store.action(key.digest)
    if action is not None:
        return Remembered(action, made=False)
    with store.lock(f"step-{key.digest}", waiting):
        action = None if anew else store.action(key.digest)  # another one's, who had the lock
        if action is not None:
            return Remembered(action, made=False)
        began = time.monotonic()
        outcome = make()
        took = time.monotonic() - began if outcome.seconds is None else outcome.seconds
        return Remembered(record(store, key, name, outcome, took, kind=kind), made=True)


def record(
    store: Store, key: Key, name: str, outcome: Outcome, seconds: float, *, kind: str | None = None
) -> Action:
    """Record a step as done; see `remember`."""
    action = Action(
        key=key.digest,
        kind=kind or key.kind,
        name=name,
        parts=key.parts,
        outputs=outcome.outputs,
        seconds=seconds,
        log=outcome.log,
        created=time.time(),
        data=outcome.data,
    )
    store.record(action)
    return action
