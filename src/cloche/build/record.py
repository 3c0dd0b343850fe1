"""The record of a machine's last build: its events as one blob, kept for `cloche report`.

While the build runs they go to a file in a workspace of the store; at its end, however it came,
they become a blob that the pin ``record/PLACE/NAME`` names, together with the resolution. PLACE
stands for the project: two of them may both have a machine of that name.
"""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cloche.build.errors import NotBuiltError
from cloche.build.events import Event, Planned, Version, decode_events, encode_event
from cloche.build.workshop import Workshop
from cloche.store import Store

PIN = "record"


class Recorder:
    """A sink that writes events to a file, and keeps in mind which resolution they belong to."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self.path = path
        self.depgraph: str | None = None
        self(Version())

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Planned):
            self.depgraph = event.depgraph
        self._file.write(encode_event(event) + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Nothing comes any more."""
        self._file.close()


@contextmanager
def recorded(shop: Workshop) -> Iterator[None]:
    """Record the events of the block; keep them where a plan was made, whatever became of it."""
    with shop.store.workspace("events") as workspace:
        recorder = Recorder(workspace / "events.jsonl")
        shop.bus.add(recorder)
        try:
            yield
        finally:
            shop.bus.remove(recorder)
            recorder.close()
            if recorder.depgraph is not None:
                _keep(shop, recorder.path, recorder.depgraph)


def _keep(shop: Workshop, path: Path, depgraph: str) -> None:
    store, machine = shop.store, shop.inputs.machine
    with store.workspace("record") as workspace:
        packed = workspace / "events.jsonl.gz"
        with path.open("rb") as source, gzip.open(packed, "wb") as sink:
            shutil.copyfileobj(source, sink)
        blob = store.add_blob(packed, f"events of {machine}")
    pin = _pin(shop.inputs.place, machine)
    store.pin(pin, trees=(), blobs=(blob.id, depgraph), data={"events": blob.id})


def recorded_events(store: Store, place: str, machine: str) -> tuple[Event, ...]:
    """The events of the last build of a project's machine. Raises NotBuiltError if there is none.

    ``place`` is the project's, as in `Inputs`.
    """
    pin = store.pin_of(_pin(place, machine))
    if pin is None or not store.has_blob(pin.data["events"]):
        raise NotBuiltError(f"machine {machine}", f"cloche build {machine}")
    with gzip.open(store.blob(pin.data["events"]).path, "rb") as file:
        return tuple(decode_events(file))


def _pin(place: str, machine: str) -> str:
    return f"{PIN}/{place}/{machine}"
