"""The events of several machines that are built together, as those of one build.

Each machine's own record has its own events. What several have in common is told once, by the
machine that works on it. Notes from before the plan and from after a machine's packages wait for
those of the other machines, so that equal ones are one that names them all.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cloche.records import events
from cloche.records.events import Event, Sink

OF_PACKAGES = (
    events.Started, events.Logging, events.Phase, events.Fetched, events.Elog, events.Done
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Names:
    """What packages of several machines are called together.

    ``joint`` is, by machine and id, a package's name for all; ``ids`` the ids that it has, and
    ``machines`` those that it is for, by that name. The first of them works on it.
    """

    joint: Mapping[tuple[str, str], str]
    ids: Mapping[str, str]
    machines: Mapping[str, tuple[str, ...]]


def joint_names(alike: Iterable[Iterable[tuple[str, str]]]) -> Names:
    """Names for groups of packages that are alike, each as machine and id.

    A name is the id; of groups with one id, those after the first get their first machine's name.
    """
    joint: dict[tuple[str, str], str] = {}
    ids: dict[str, str] = {}
    machines: dict[str, tuple[str, ...]] = {}
    for group in map(list, alike):
        machine, id = group[0]
        name = id if id not in ids else f"{id}@{machine}"
        ids[name] = id
        machines[name] = tuple(dict.fromkeys(each for each, _ in group))
        joint |= dict.fromkeys(group, name)
    return Names(joint, ids, machines)


def joint_plan(planned: Sequence[events.Planned], names: Names) -> events.Planned:
    """The plan of all machines, from their own."""
    packages: dict[str, None] = {}
    edges: dict[str, tuple[str, ...]] = {}
    expected: dict[str, float] = {}
    for each in planned:
        for id in each.packages:
            name = names.joint[each.machine, id]
            if name in packages:
                continue
            packages[name] = None
            needed = (names.joint[each.machine, other] for other in each.edges.get(id, ()))
            edges[name] = tuple(needed)
            if id in each.expected:
                expected[name] = each.expected[id]
    return events.Planned(
        machine=", ".join(each.machine for each in planned),
        packages=tuple(packages),
        edges=edges,
        expected=expected,
        jobs=planned[0].jobs,
        keep_going=planned[0].keep_going,
        partial=all(each.partial for each in planned),
        machines=dict(names.machines),
    )


class Joined:
    """Passes the events of several machines on to one sink. Safe to use from several threads."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._names = Names({}, {}, {})
        self._ended: dict[str, events.How] = {}
        self._machines: dict[str, None] = {}
        self._building: set[str] = set()  # machines whose packages are being built
        self._waiting: dict[tuple[str, str], tuple[events.Note, dict[str, None]]] = {}

    def plan(self, planned: Sequence[events.Planned], names: Names) -> None:
        """Report the joint plan; from then on packages go by their joint names."""
        self.flush()
        with self._lock:
            self._names = names
            self._building |= {each.machine for each in planned}
            self._sink(joint_plan(planned, names))

    def finish(self, seconds: float) -> None:
        """Report the end of the whole build."""
        self.flush()
        how = Counter(self._ended.values())
        with self._lock:
            self._sink(
                events.Finished(
                    built=how["built"],
                    reused=how["reused"],
                    failed=how["failed"],
                    skipped=how["skipped"],
                    seconds=seconds,
                )
            )

    def flush(self) -> None:
        """Tell the notes that wait for more machines, equal ones once."""
        with self._lock:
            for note, machines in self._waiting.values():
                everyone = len(machines) == len(self._machines) > 2
                names = f"all {len(machines)} machines" if everyone else ", ".join(machines)
                self._sink(msgspec.structs.replace(note, text=f"{names}: {note.text}"))
            self._waiting.clear()

    def id_of(self, name: str) -> str:
        """The id of the package with a joint name."""
        return self._names.ids.get(name, name)

    def hearing(self, machine: str) -> Sink:
        """A sink for the events of one machine."""
        self._machines[machine] = None
        return lambda event: self._hear(machine, event)

    def _hear(self, machine: str, event: Event) -> None:
        with self._lock:
            told = self._told(machine, event)
            if told is not None:
                self._sink(told)

    def _told(self, machine: str, event: Event) -> Event | None:
        """The event to pass on, or None."""
        match event:
            case events.Planned():  # of all machines there is one
                return None
            case events.Finished():
                self._building.discard(machine)
                return None
            case events.Note() if machine not in self._building:
                _, machines = self._waiting.setdefault((event.level, event.text), (event, {}))
                machines[machine] = None
                return None
            case events.Note():
                return msgspec.structs.replace(event, text=f"{machine}: {event.text}")
            case events.Stage() | events.Delivered():
                return msgspec.structs.replace(event, machine=machine)
        if not isinstance(event, OF_PACKAGES):
            return event
        name = self._names.joint.get((machine, event.package), event.package)
        if isinstance(event, events.Done):
            if name in self._ended:
                return None
            self._ended[name] = event.how
        return msgspec.structs.replace(event, package=name)
