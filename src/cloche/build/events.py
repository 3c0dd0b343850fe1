"""What happens during a build, as typed events. Displays read these and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

How = Literal["built", "reused", "failed", "skipped"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """Base of all events; ``time`` is seconds since the epoch."""

    time: float = msgspec.field(default_factory=time.time)


class Note(Event, frozen=True, tag="note"):
    """Something a person may want to know; ``level`` is "info" or "warning"."""

    text: str
    level: Literal["info", "warning"] = "info"


class Stage(Event, frozen=True, tag="stage"):
    """A part of the whole work that is not a package: resolve, finish, pack, index."""

    name: str
    state: Literal["start", "end"]
    reused: bool = False
    seconds: float = 0.0


class Planned(Event, frozen=True, tag="planned"):
    """The plan is known: names of the packages in merge order.

    ``edges`` is what each package waits for, without what other edges imply; ``expected`` seconds
    by earlier runs, 0 for what is foreseen to be reused, no entry where nothing is known; ``jobs``
    how many packages are worked on at once.
    """

    machine: str
    packages: tuple[str, ...]
    edges: dict[str, tuple[str, ...]] = {}
    expected: dict[str, float] = {}
    jobs: int = 1


class Started(Event, frozen=True, tag="started"):
    """Work on a package's step ("fetch", "build", "merge") began."""

    package: str
    step: str
    log: str | None = None


class Phase(Event, frozen=True, tag="phase"):
    """An ebuild phase of a package began or ended."""

    package: str
    phase: str
    state: Literal["start", "end"]


class Fetched(Event, frozen=True, tag="fetched"):
    """A distfile arrived; ``size`` in bytes."""

    package: str
    file: str
    size: int


class Done(Event, frozen=True, tag="done"):
    """A package is finished, one way or the other."""

    package: str
    how: How
    seconds: float = 0.0
    layer: str | None = None
    reason: str | None = None
    log: str | None = None


class Finished(Event, frozen=True, tag="finished"):
    """The whole build ended."""

    built: int
    reused: int
    failed: int
    skipped: int
    seconds: float


class Delivered(Event, frozen=True, tag="delivered"):
    """Where the results lie, as absolute paths; ``stage4`` is None where none was asked for."""

    packages: str
    stage4: str | None
    logs: str


Sink = Callable[[Event], None]


class Bus:
    """Hands events from many threads to one sink, one after the other."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Deliver one event."""
        with self._lock:
            self._sink(event)
