"""One event, one line of JSON."""

from __future__ import annotations

from typing import TextIO

import msgspec

from cloche.build.events import Event


class JsonLines:
    """Writes every event as it is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self._stream.write(msgspec.json.encode(event).decode() + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing is held."""
