"""The graph of a build as it is now, from its events."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.display.picture import Picture
from cloche.display.state import State, Status, fold
from cloche.plan.names import bare
from cloche.plan.order import bits
from cloche.records.events import Done, decode_events
from cloche.service.events import Line, lines, size_of

_ALL = 1 << 40  # bytes of events
_REMEMBERED = 16  # builds
_WORDS = {"failed": "failed", "skipped": "not tried", "reused": "was ready", "built": "built"}


@dataclass(frozen=True, slots=True)
class Row:
    """A package of a build: what becomes of it, and what it does now, for how many seconds."""

    name: str
    status: Status
    doing: str
    seconds: float | None
    reason: str | None
    log: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """What the events of a build say up to a place in their file (`events.Line.end`).

    ``explained`` are the lines of logs that explain failures, by package (CATEGORY/PF).
    """

    state: State = field(default_factory=State)
    explained: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    end: int = 0


def told(before: Told, lines: Iterable[Line]) -> Told:
    """What further events say."""
    state, explained, end = before.state, dict(before.explained), before.end
    for line in lines:
        end = line.end
        for event in decode_events((line.text,)):
            state = fold(state, event)
            if isinstance(event, Done) and event.lines:
                explained[bare(event.package)] = event.lines
    return Told(state, explained, end)


class Readings:
    """What the events of the builds say that were looked at last, so that only new ones are read.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[Path, Told] = {}

    def read(self, room: Path) -> Told:
        """What the events of a build say now. Raises OSError."""
        with self._lock:
            before = self._known.pop(room, Told())
        if before.end > size_of(room):  # the build was repeated
            before = Told()
        found = told(before, lines(room, before.end, _ALL))
        with self._lock:
            self._known[room] = found  # the last read are last
            while len(self._known) > _REMEMBERED:
                del self._known[next(iter(self._known))]
        return found


def rows_of(state: State, now: float, *, over: bool) -> list[Row]:
    """The packages of a build, those with news first."""
    rank = {"failed": 0, "running": 1, "waiting": 2, "built": 3, "skipped": 4, "reused": 5}
    rows = []
    for name, node in zip(state.order.names, state.nodes, strict=True):
        running = node.status == "running" and not over
        seconds = now - node.since if running else node.seconds or None
        doing = node.doing if running else _WORDS.get(node.status, "waits")
        if over and node.status in ("waiting", "running"):
            doing = "was not finished"
        rows.append(Row(bare(name), node.status, doing, seconds, node.reason, node.log))
    return sorted(rows, key=lambda row: rank[row.status])


def picture_of(state: State) -> Picture:
    """The graph of a build."""
    names = state.order.names
    edges = {
        name: tuple(names[place] for place in bits(needs))
        for name, needs in zip(names, state.order.needs, strict=True)
    }
    status = {name: node.status for name, node in zip(names, state.nodes, strict=True)}
    notes = {name: n.doing for name, n in zip(names, state.nodes, strict=True) if n.doing}
    return Picture(names, edges, status, notes)


def summary_of(state: State) -> str:
    """How far a build is, in one line."""
    if not state.nodes:
        at = [f"{name} {state.reached.get(name, '')}".strip() for name in state.stages]
        return ", ".join(at)
    ended = sum(state.count(each) for each in ("built", "reused", "failed", "skipped"))
    parts = [f"{ended} of {len(state.nodes)} packages"]
    parts += [f"{state.count('failed')} failed"] if state.count("failed") else []
    parts += [f"{state.count('running')} running"] if state.count("running") else []
    return ", ".join(parts)
