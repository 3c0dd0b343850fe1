"""What is open in a session, as its functions take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.building.context import RunTask
from cloche.config.project import Project
from cloche.records.events import Event, Sink
from cloche.sandbox.base import Engine
from cloche.session.ongoing import Ongoing
from cloche.store import Store
from cloche.tasks.guestcall import Running


def nobody(event: Event) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """See `cloche.session.session.Session`. ``running`` is what runs for one call."""

    project: Project
    store: Store
    engine: Engine
    sink: Sink = nobody
    proxies: Mapping[str, str] = field(default_factory=dict)
    elsewhere: RunTask | None = None
    ongoing: Ongoing = field(default_factory=Ongoing)
    running: Running = field(default_factory=Running)
    slots: Path | None = None
