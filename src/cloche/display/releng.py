"""The events of a run of many specs, as they come: plain lines or JSON, each with its spec."""

from __future__ import annotations

import threading
from typing import TextIO

from cloche.display.plain import Plain
from cloche.display.text import count, one_line, seconds
from cloche.releng.journal import (
    Compared,
    Entry,
    HookEnded,
    RunStarted,
    SpecEnded,
    SpecStarted,
    encode_entry,
)


class SpecLines:
    """Plain lines that begin with the name of their spec. Safe to use from several threads."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._lock = threading.Lock()
        self._plain: dict[str, Plain] = {}
        self._total = 0
        self._ended = 0

    def __call__(self, entry: Entry) -> None:
        """Show one entry."""
        with self._lock:
            if (line := self._line(entry)) is not None:
                self._write(line)
            elif entry.spec:
                self._of(entry.spec)(entry.event)

    def close(self) -> None:
        """End the display."""
        for each in self._plain.values():
            each.close()

    def _of(self, spec: str) -> Plain:
        if spec not in self._plain:
            stream = _Named(self._stream, spec)
            self._plain[spec] = Plain(stream, verbose=self._verbose)  # type: ignore[arg-type]
        return self._plain[spec]

    def _line(self, entry: Entry) -> str | None:
        match entry.event:
            case RunStarted() as event:
                self._total = len(event.specs)
                tree = f"tree {event.treeish}"
                return f"{event.name} {event.timestamp}: {count(self._total, 'spec')}, {tree}"
            case SpecStarted():
                return f"{entry.spec}: started"
            case SpecEnded() as event:
                self._ended += 1
                if (plain := self._plain.pop(entry.spec, None)) is not None:
                    plain.close()
                why = f": {event.reason}" if event.reason else ""
                at = f"[{self._ended}/{self._total}] {entry.spec}: {event.how}"
                return f"{at} {seconds(event.seconds)}{why}"
            case HookEnded() as event:
                done = "done" if not event.status else f"status {event.status}, see {event.log}"
                return f"{' '.join(filter(None, event.words))}: {done}"
            case Compared() as event:
                see = f", see {event.log}" if event.status else ""
                return f"{entry.spec}: catalyst: {event.verdict}{see}"
            case _:
                return None

    def _write(self, line: str) -> None:
        self._stream.write(one_line(line) + "\n")
        self._stream.flush()


class _Named:
    """A stream whose lines begin with a name; each write is a whole line."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name

    def write(self, line: str) -> None:
        self._stream.write(f"{one_line(self._name)}: {line}")

    def flush(self) -> None:
        self._stream.flush()


class SpecJson:
    """Each entry as a line of JSON: the event, with the key ``spec``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def __call__(self, entry: Entry) -> None:
        """Write one entry."""
        with self._lock:
            self._stream.write(encode_entry(entry).decode() + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Does nothing, as each line is written at once."""
