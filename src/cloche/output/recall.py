"""What a report of a machine's last build needs beside its events: sizes, USE, the ends of logs."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cloche.config.machine import Machine
from cloche.output.remembered import finished_machine
from cloche.plan.depgraph import BadResolutionError, Depgraph, decode_depgraph
from cloche.plan.visible import machine_members
from cloche.records.builds import Record, recorded_events
from cloche.records.events import Done, Event, Planned, Started
from cloche.records.logs import log_lines
from cloche.store import Store

LINES = 2000  # of each log
WIDTH = 2000  # characters of each line


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one step's log; ``left_out`` lines stood before it."""

    step: str
    text: str
    left_out: int


@dataclass(frozen=True, slots=True)
class Recalled:
    """One package of the build. ``size`` is its layer's in bytes, None where there is none."""

    use: tuple[str, ...]
    member: bool
    size: int | None
    logs: tuple[Ending, ...]


def recall(store: Store, record: Record) -> tuple[tuple[Event, ...], dict[str, Recalled]]:
    """The events of a build of a machine, and what is known of each of its packages."""
    events = recorded_events(store, record)
    graph = _resolution(store, events)
    members = set(machine_members(graph))
    layers = {e.package: e.layer for e in events if isinstance(e, Done) and e.layer}
    logs: dict[str, dict[str, str]] = {}
    for event in events:
        if isinstance(event, Started) and event.log:
            logs.setdefault(event.package, {})[event.step] = event.log
    about = {
        package.id: Recalled(
            use=package.use,
            member=package.id in members,
            size=_size(store, layers.get(package.id)),
            logs=tuple(_endings(store, package.id, logs.get(package.id, {}))),
        )
        for package in graph.packages
    }
    return events, about


def resolution_before(store: Store, machine: Machine) -> Depgraph:
    """The resolution of the last build of a machine that was finished.

    Without packages where there is none, or where it is not in the store any more.
    """
    pin = finished_machine(store, machine)
    return decoded(store, pin.data.get("depgraph")) if pin else Depgraph(())


def decoded(store: Store, blob: str | None) -> Depgraph:
    """A recorded resolution; without packages where none is recorded, or it is lost or damaged."""
    if blob and store.has_blob(blob):
        with suppress(FileNotFoundError, BadResolutionError):
            return decode_depgraph(store.blob(blob).path.read_bytes())
    return Depgraph(())


def _resolution(store: Store, events: tuple[Event, ...]) -> Depgraph:
    for event in events:
        if isinstance(event, Planned) and event.depgraph:
            return decoded(store, event.depgraph)
    return Depgraph(())


def _size(store: Store, layer: str | None) -> int | None:
    return store.tree(layer).size if layer is not None and store.has_tree(layer) else None


def _endings(store: Store, package: str, logs: dict[str, str]) -> Iterator[Ending]:
    """The logs of this build; of a reused package those of the build that it was made by."""
    for step in ("fetch", "build", "merge"):
        path = Path(logs[step]) if step in logs else None
        if path is None and step != "fetch" and not logs:
            action = store.last_action(step, package)
            path = store.logs / action.log if action is not None and action.log else None
        if path is None:
            continue
        kept: deque[str] = deque(maxlen=LINES)
        count = 0
        try:
            for line in log_lines(path):
                kept.append(line if len(line) <= WIDTH else line[:WIDTH] + "…\n")
                count += 1
        except FileNotFoundError:
            continue  # collected by now
        yield Ending(step, "".join(kept), count - len(kept))
