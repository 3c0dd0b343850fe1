"""What a display knows of a build: events folded into one value that never changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from cloche.plan.order import Order, bits, make_order
from cloche.records import events

Status = Literal["waiting", "running", "built", "reused", "failed", "skipped"]
ENDED: tuple[Status, ...] = ("built", "reused", "failed", "skipped")
OfPackage = events.Started | events.Logging | events.Phase | events.Done
NOTHING = make_order((), {})


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One package. ``since`` is when its work began, ``doing`` its step or phase now.

    Equal by identity, so that it can be a key of caches; so is a State.
    """

    status: Status = "waiting"
    doing: str = ""
    step: str = ""
    since: float = 0.0
    seconds: float = 0.0
    reason: str | None = None
    log: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A build at one moment. ``masks`` holds a bit set of places in ``order`` for each status.

    ``expected`` is seconds by place, None where nothing is known; ``jobs`` packages at a time;
    ``doomed`` those that wait for ever, since something failed;
    ``reached`` how far a stage is, in words; ``machines`` those that each package is for, by name,
    where several are built together.
    """

    machine: str = ""
    order: Order = NOTHING
    nodes: tuple[Node, ...] = ()
    masks: Mapping[Status, int] = field(default_factory=lambda: MappingProxyType({}))
    expected: tuple[float | None, ...] = ()
    jobs: int = 1
    keep_going: bool = True
    doomed: int = 0
    began: float | None = None
    stages: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    reached: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    finished: events.Finished | None = None
    machines: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def set(self, status: Status) -> int:
        """Places with a status, as a bit set."""
        return self.masks.get(status, 0)

    def count(self, status: Status) -> int:
        """How many packages have a status."""
        return self.set(status).bit_count()

    @property
    def ended(self) -> int:
        """Places whose work is over, as a bit set."""
        return self.set("built") | self.set("reused") | self.set("failed") | self.set("skipped")

    def node(self, name: str) -> Node | None:
        """A package by its id."""
        place = self.order.index.get(name)
        return None if place is None else self.nodes[place]


def fold(state: State, event: events.Event) -> State:
    """The state after one more event."""
    if state.began is None:
        state = replace(state, began=event.time)
    match event:
        case events.Planned():
            return _planned(state, event)
        case events.Stage(state="start"):
            return replace(state, stages={**state.stages, event.title: event.time})
        case events.Stage():
            left = {n: t for n, t in state.stages.items() if n != event.title}
            return replace(state, stages=left)
        case events.Progress():
            reached = {**state.reached, event.stage: f"{event.done} of {event.of}"}
            return replace(state, reached=reached)
        case events.Started() | events.Logging() | events.Phase() | events.Done():
            place = state.order.index.get(event.package)
            return state if place is None else _moved(state, place, event)
        case events.Finished():
            return replace(state, finished=event)
        case _:
            return state


def bare_reason(event: events.Done) -> str | None:
    """Why a package failed, without its name and the advice that everybody knows."""
    if event.reason is None:
        return None
    return event.reason.removeprefix(f"{event.package}: ").partition("; see `cloche log")[0]


def _planned(state: State, event: events.Planned) -> State:
    order = make_order(event.packages, event.edges)
    return replace(
        state,
        machine=event.machine,
        order=order,
        nodes=(Node(),) * len(order.names),
        masks={"waiting": (1 << len(order.names)) - 1},
        expected=tuple(event.expected.get(name) for name in order.names),
        jobs=max(1, event.jobs),
        keep_going=event.keep_going,
        doomed=0,
        machines=event.machines,
    )


def _moved(state: State, place: int, event: OfPackage) -> State:
    old = state.nodes[place]
    new = _next(old, event)
    if new is old:
        return state
    nodes = list(state.nodes)
    nodes[place] = new
    if new.status == old.status:
        return replace(state, nodes=tuple(nodes))
    bit = 1 << place
    masks = {
        **state.masks,
        old.status: state.masks.get(old.status, 0) & ~bit,
        new.status: state.masks.get(new.status, 0) | bit,
    }
    state = replace(state, nodes=tuple(nodes), masks=masks)
    return replace(state, doomed=_doomed(state)) if masks.get("failed") else state


def _doomed(state: State) -> int:
    """Packages that wait and will not be started: all, or what needs something that failed."""
    if not state.keep_going:
        return state.set("waiting")
    needing = 0
    for place in bits(state.set("failed")):
        needing |= state.order.above[place]
    return needing & state.set("waiting")


def _next(old: Node, event: OfPackage) -> Node:
    match event:
        case events.Started():
            since = old.since if old.status == "running" else event.time
            return replace(
                old,
                status="running",
                doing=event.step,
                step=event.step,
                since=since,
                log=event.log or old.log,
            )
        case events.Logging():
            return replace(old, log=event.log)
        case events.Phase(state="start") if old.status == "running":
            return replace(old, doing=event.phase)
        case events.Phase(state="end", phase="fetch") if old.step == "fetch":
            # Sources are fetched ahead: the package itself has yet to wait for its turn.
            return replace(old, status="waiting", doing="", step="")
        case events.Done():
            return replace(
                old,
                status=event.how,
                doing="",
                seconds=event.seconds,
                reason=bare_reason(event),
                log=event.log or old.log,
            )
        case _:
            return old
