"""The events of a build, as types. Displays read only events."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.records.elog import Message

VERSION = 1  # of the schema in docs/events.md; raised when a field changes or is removed
How = Literal["built", "reused", "failed", "skipped"]


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """Base of all events; ``time`` is seconds since the epoch."""

    time: float = msgspec.field(default_factory=time.time)


class Version(Event, frozen=True, tag="version"):
    """The first event of every stream: which schema the others follow."""

    version: int = VERSION


class Note(Event, frozen=True, tag="note"):
    """A message to the user; ``level`` is "info" or "warning"."""

    text: str
    level: Literal["info", "warning"] = "info"


class Stage(Event, frozen=True, tag="stage"):
    """A part of the build that is not a package: resolve, finish, pack, index.

    ``detail`` distinguishes stages of the same name; ``log`` is the path of its log, at its end.
    ``machine`` says whose it is where several machines are built together.
    """

    name: str
    state: Literal["start", "end"]
    reused: bool = False
    seconds: float = 0.0
    detail: str = ""
    log: str | None = None
    machine: str = ""

    @property
    def title(self) -> str:
        """The name, the detail and the machine, to be shown."""
        name = f"{self.machine} {self.name}" if self.machine else self.name
        return f"{name}: {self.detail}" if self.detail else name


class Progress(Event, frozen=True, tag="progress"):
    """How far a stage is: ``done`` of ``of`` equal parts."""

    stage: str
    done: int
    of: int


class Planned(Event, frozen=True, tag="planned"):
    """The plan is known: names of the packages in merge order.

    ``edges`` is what each package waits for, without implied edges; ``expected`` seconds by earlier
    runs, 0 for packages that will be reused, without unknown ones; ``jobs`` how many packages run
    at once; ``keep_going`` whether a failure only skips what depends on it; ``depgraph`` the id of
    the blob with the resolution; ``partial`` whether single packages were requested, so that
    nothing will be delivered. Where several machines are built together, ``machines`` are those
    that each package is for.
    """

    machine: str
    packages: tuple[str, ...]
    edges: dict[str, tuple[str, ...]] = {}
    expected: dict[str, float] = {}
    jobs: int = 1
    keep_going: bool = True
    depgraph: str | None = None
    partial: bool = False
    machines: dict[str, tuple[str, ...]] = {}


class Started(Event, frozen=True, tag="started"):
    """Work on a package's step ("fetch", "build", "merge") began."""

    package: str
    step: str
    log: str | None = None


class Logging(Event, frozen=True, tag="logging"):
    """The path of a step's log, if it was not known when the step began."""

    package: str
    log: str


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


class Elog(Event, frozen=True, tag="elog"):
    """Messages of a package's step by elog, ewarn, eerror and eqawarn."""

    package: str
    step: str
    messages: tuple[Message, ...]


INTERRUPTED = "interrupted"  # ends the reason of a step that did not fail itself


class Done(Event, frozen=True, tag="done"):
    """A package is finished, successfully or not.

    ``worked`` are the seconds of the steps that this build did: not reused, not waited for.
    For a failure: ``reason`` in one line, relevant ``lines`` of the log, and ``enter``, the command
    that opens its root.
    """

    package: str
    how: How
    seconds: float = 0.0
    worked: dict[str, float] = {}
    layer: str | None = None
    reason: str | None = None
    log: str | None = None
    lines: tuple[str, ...] = ()
    enter: str | None = None


class Finished(Event, frozen=True, tag="finished"):
    """The whole build ended."""

    built: int
    reused: int
    failed: int
    skipped: int
    seconds: float


class Delivered(Event, frozen=True, tag="delivered"):
    """Where the results lie, as absolute paths: ``outputs`` by their kinds.

    ``packages`` and ``stage4`` are those of them that there were first; None: not asked for.
    ``machine`` is as in a stage; ``system`` the id of the blob with what the machine is besides its
    packages, ``finish`` the ids of the layers that its finish made, the bottom first.
    """

    packages: str
    stage4: str | None
    logs: str
    outputs: dict[str, str] = {}
    machine: str = ""
    system: str | None = None
    finish: tuple[str, ...] = ()


class Summary(Event, frozen=True, tag="summary"):
    """The end of `cloche catalyst -f`: packages of all machines, ``outputs`` as kind and path."""

    spec: str
    built: int
    reused: int
    seconds: float
    outputs: tuple[tuple[str, str], ...] = ()


def delivered(outputs: Mapping[str, Path], logs: Path) -> Delivered:
    """The event about outputs, by their kinds."""
    paths = {name: str(path) for name, path in outputs.items()}
    packages, stage4 = paths.get("packages", ""), paths.get("stage4")
    return Delivered(packages=packages, stage4=stage4, logs=str(logs), outputs=paths)


AnyEvent = (
    Version
    | Note
    | Stage
    | Progress
    | Planned
    | Started
    | Logging
    | Phase
    | Fetched
    | Elog
    | Done
    | Finished
    | Delivered
    | Summary
)
Sink = Callable[[Event], None]


def encode_event(event: Event) -> bytes:
    """One line of the stream, without its end."""
    return msgspec.json.encode(event)


def decode_events(lines: Iterable[bytes]) -> Iterator[Event]:
    """Events of a recorded stream; lines of an unknown kind are left out."""
    decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
    for line in lines:
        with suppress(*NOT_DECODABLE):
            yield decoder.decode(line)


class Bus:
    """Passes events from many threads to its sinks, one after another."""

    def __init__(self, *sinks: Sink) -> None:
        self._sinks = list(sinks)
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Deliver one event."""
        with self._lock:
            for sink in self._sinks:
                sink(event)

    def add(self, sink: Sink) -> None:
        """Add a sink."""
        with self._lock:
            self._sinks.append(sink)

    def remove(self, sink: Sink) -> None:
        """Remove a sink."""
        with self._lock:
            self._sinks.remove(sink)
