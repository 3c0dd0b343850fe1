"""The record of a machine's last build: its events as one blob, kept for `cloche report`.

While the build runs they are written to ``logs/machine/NAME/TIME-events.jsonl``, so that a killed
cloche leaves them too; at its end they become a blob that the pin ``record/NAME`` names, together
with the resolution.
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

PIN = "record/"


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
                _keep(shop.store, shop.inputs.machine, recorder.path, recorder.depgraph)


def _keep(store: Store, machine: str, path: Path, depgraph: str) -> None:
    with store.workspace("record") as workspace:
        packed = workspace / "events.jsonl.gz"
        with path.open("rb") as source, gzip.open(packed, "wb") as sink:
            shutil.copyfileobj(source, sink)
        blob = store.add_blob(packed, f"events of {machine}")
    store.pin(PIN + machine, trees=(), blobs=(blob.id, depgraph), data={"events": blob.id})


def recorded_events(store: Store, machine: str) -> tuple[Event, ...]:
    """The events of a machine's last build. Raises NotBuiltError where none is recorded."""
    pin = store.pin_of(PIN + machine)
    if pin is None or not store.has_blob(pin.data["events"]):
        raise NotBuiltError(f"machine {machine}", f"cloche build {machine}")
    with gzip.open(store.blob(pin.data["events"]).path, "rb") as file:
        return tuple(decode_events(file))
