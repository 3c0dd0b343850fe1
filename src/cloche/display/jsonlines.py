"""One event, one line of JSON; ``docs/events.md`` has the schema."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from cloche.records.events import Event, Version, encode_event


class JsonLines:
    """Writes every event as it is, after one that names the schema's version."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if not self._begun:
            self._begun = True
            self._write(Version(time=event.time))
        self._write(event)

    def attach(self, stop: Callable[[str], None]) -> None:
        """There are no keys."""

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, event: Event) -> None:
        self._stream.write(encode_event(event).decode() + "\n")
        self._stream.flush()
