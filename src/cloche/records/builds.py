"""Records of a machine's builds: the events of each as one blob, kept for `cloche report`.

While the build runs they are written to a file in a workspace of the store; when it ends in any way
they become a blob, which the pin ``record/PLACE/NAME/NUMBER`` names together with the resolution.
PLACE identifies the project, as two projects may have machines of the same name. The newest
``Policy.records`` stay, the newest completed one, and the newest that built something; the blobs
of the others are garbage. A build that did nothing stays until the next completed one. Of the
newest ``Policy.kept`` different results the layers of the packages stay, too.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cloche.errors import ClocheError
from cloche.records.events import (
    Bus,
    Delivered,
    Done,
    Event,
    Planned,
    Started,
    Version,
    decode_events,
    encode_event,
)
from cloche.store import Pin, Store, names


def unknown_package(atom: str, known: Sequence[str]) -> ClocheError:
    """An atom on the command line matches no package; ``known`` are similar names."""
    close = ", ".join(f"“{name}”" for name in known)
    meant = f"did you mean {close}?" if known else "see `cloche plan MACHINE`"
    return ClocheError(f"no package matches “{atom}”", todo=meant)


def not_built(name: str, command: str) -> ClocheError:
    """Something has to be built first, by ``command``."""
    return ClocheError(f"{name}: not built yet", todo=f"run `{command}`")


class Recorder:
    """A sink that writes events to a file, and remembers their resolution and their layers."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.path = path
        self.depgraph: str | None = None
        self.layers: set[str] = set()
        self.system: str | None = None
        self.delivered = False
        self(Version())

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Planned):
            self.depgraph = event.depgraph
        if isinstance(event, Done) and event.layer is not None:
            self.layers.add(event.layer)
        if isinstance(event, Delivered):
            self.system, self.delivered = event.system, True
            self.layers |= set(event.finish)
        self._file.write(encode_event(event) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextmanager
def recorded(
    store: Store, bus: Bus, place: str, machine: str, *, count: int, kept: int = 1
) -> Iterator[None]:
    """Record the events of the block; keep them if a plan was made, whether it succeeded or not.

    ``place`` is the project's, as in `Inputs`; ``count`` and ``kept`` as with `keep`.
    """
    with store.workspace("events") as workspace:
        recorder = Recorder(workspace / "events.jsonl")
        bus.add(recorder)
        try:
            yield
        finally:
            bus.remove(recorder)
            recorder.close()
            if recorder.depgraph is not None:
                events = Events(
                    recorder.path,
                    recorder.depgraph,
                    frozenset(recorder.layers),
                    recorder.system,
                    recorder.delivered,
                )
                keep(store, place, machine, events, count=count, kept=kept)


@dataclass(frozen=True, slots=True)
class Record:
    """One build of a machine: its number, counted from 1, and the blob with its events.

    ``system`` is the blob with what it is besides its packages, "" where there is none. ``result``
    identifies what the build led to, "" where it did not come to its end.
    """

    number: int
    pin: str
    blob: str
    system: str = ""
    result: str = ""


def records(store: Store, place: str, machine: str) -> tuple[Record, ...]:
    """The recorded builds of a project's machine, the oldest first.

    ``place`` is the project's, as in `Inputs`.
    """
    prefix = names.record(place, machine)
    found = [
        Record(
            int(pin.name.removeprefix(f"{prefix}/")),
            pin.name,
            pin.data["events"],
            pin.data.get("system", ""),
            pin.data.get("result", ""),
        )
        for pin in store.pins(f"{prefix}/")
    ]
    return tuple(
        sorted((r for r in found if store.has_blob(r.blob)), key=lambda record: record.number)
    )


def newest_resolutions(store: Store) -> tuple[tuple[str, str], ...]:
    """Each machine of all projects with the blob of its newest build's resolution."""
    newest: dict[str, tuple[int, Pin]] = {}
    for pin in store.pins(names.RECORDS):
        machine, _, number = pin.name.rpartition("/")
        if number.isdecimal() and int(number) > newest.get(machine, (0, pin))[0]:
            newest[machine] = (int(number), pin)
    return tuple(
        (machine.rpartition("/")[2], blob)
        for machine, (_, pin) in newest.items()
        for blob in pin.blobs
        if blob not in (pin.data["events"], pin.data.get("system"))
    )


def recorded_events(store: Store, record: Record) -> tuple[Event, ...]:
    """The events of a build."""
    with gzip.open(store.blob(record.blob).path, "rb") as file:
        return tuple(decode_events(file))


def wanted_record(
    store: Store, place: str, machine: str, wanted: int | None, *, built: bool
) -> Record:
    """The build with the number ``wanted``, or the last one; ``built``: the last that built.

    Raises ClocheError if there is none, or if it is no longer recorded.
    """
    found = records(store, place, machine)
    if not found:
        raise not_built(f"machine {machine}", f"cloche build {machine}")
    if wanted is None and not built:
        return found[-1]
    for record in reversed(found):
        if record.number == wanted or (built and worked(recorded_events(store, record))):
            return record
    which = "build that built something" if wanted is None else f"build {wanted}"
    raise ClocheError(
        f"no {which} is recorded",
        where=f"machine {machine}",
        todo=f"there is: {', '.join(str(record.number) for record in found)}",
    )


def worked(events: Iterable[Event]) -> bool:
    """Whether a build did more than reuse known results."""
    return any(
        isinstance(e, Started) or (isinstance(e, Done) and e.how == "failed") for e in events
    )


@dataclass(frozen=True, slots=True)
class Events:
    """A file of a build's events, the blob with its resolution, and ids of its packages' layers.

    ``system`` is as that of a record; ``delivered``: the build came to its end.
    """

    path: Path
    depgraph: str
    layers: frozenset[str] = frozenset()
    system: str | None = None
    delivered: bool = False

    @property
    def result(self) -> str:
        """As that of a record."""
        text = "\n".join((*sorted(self.layers), self.system or ""))
        return hashlib.sha256(text.encode()).hexdigest() if self.delivered else ""


def keep(
    store: Store, place: str, machine: str, events: Events, *, count: int, kept: int = 1
) -> Record:
    """Keep a file of events as the newest build, and of all builds the newest ``count``.

    The last that built something and the last finished one stay, too. One that did nothing goes as
    soon as there is another finished one.
    Of the newest ``kept`` different results the layers stay; those of the last finished build stay
    in any case, as the machine's own.
    """
    with store.workspace("record") as workspace:
        packed = workspace / "events.jsonl.gz"
        with events.path.open("rb") as source, gzip.open(packed, "wb") as sink:
            shutil.copyfileobj(source, sink)
        blob = store.add_blob(packed, f"events of {machine}")
    with store.lock(f"record-{place}-{machine}"):
        older = records(store, place, machine)
        number = older[-1].number + 1 if older else 1
        system = events.system or ""
        pin, result = names.record(place, machine, number), events.result
        record = Record(number, pin, blob.id, system, result)
        layers = events.layers if kept > 1 and result else ()
        trees = sorted(filter(store.has_tree, layers))
        blobs = {"events": blob.id, **({"system": system} if system else {})}
        data = {**blobs, **({"result": result} if result else {})}
        store.pin(pin, trees, (*blobs.values(), events.depgraph), data)
        store.unpin(names.record(place, machine))  # from before builds had numbers
        _forget(store, (*older, record), count)
        _let_go(store, (*older, record), kept)
    return record


def _let_go(store: Store, found: Sequence[Record], kept: int) -> None:
    """Release the layers of all but the newest ``kept`` different results; events are kept."""
    results = list(dict.fromkeys(r.result for r in reversed(found) if r.result))[: max(1, kept)]
    for record in found:
        pin = store.pin_of(record.pin)
        if pin is not None and pin.trees and record.result not in results:
            store.pin(pin.name, (), pin.blobs, pin.data)


def _forget(store: Store, found: Sequence[Record], count: int) -> None:
    """Drop all builds but the newest ``count``, the last one, the last completed one, and the last
    that built something.

    One that did nothing is not among the ``count``.
    """
    worked_in = {each.number: worked(recorded_events(store, each)) for each in found}
    finished = [each for each in found if each.result]
    did_nothing = {
        each.number
        for before, each in pairwise(finished)
        if each.result == before.result and not worked_in[each.number]
    }
    counted = [each.number for each in found if each.number not in did_nothing]
    built = [each.number for each in found if worked_in[each.number]]
    ended = [each.number for each in finished]
    stay = {*counted[-count:], *built[-1:], *ended[-1:], found[-1].number}
    for each in found:
        if each.number not in stay:
            store.unpin(each.pin)
