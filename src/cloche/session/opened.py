"""Base class of Session: the open project, store and engine, and the event sink."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakSet

from cloche.building.context import Elsewhere
from cloche.config.project import Project
from cloche.records.events import Event, Sink
from cloche.sandbox.base import Engine
from cloche.store import Store
from cloche.tasks.guestcall import Running


def nobody(event: Event) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """See `cloche.session.session.Session`."""

    project: Project
    store: Store
    engine: Engine
    sink: Sink = nobody
    proxies: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Elsewhere | None = None
    runs: WeakSet[Running] = field(default_factory=WeakSet)
