"""The graph of a build as it is now, from its events. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cloche.display.picture import Picture
from cloche.display.state import State, Status, fold
from cloche.plan.names import bare
from cloche.plan.order import bits
from cloche.records.events import decode_events

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


def state_of(lines: Iterable[bytes]) -> State:
    """What the events of a build say."""
    state = State()
    for event in decode_events(lines):
        state = fold(state, event)
    return state


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
