"""The events of a run of many specs, as lines of JSON: `run.jsonl` in the run's directory.

These are the events of builds (docs/events.md), each with a further key ``spec``, and those of the
run itself. State and report are read from them, so a run that was killed can be resumed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.records.events import AnyEvent, Event, Logging, Phase, Progress, encode_event

Ending = Literal["built", "failed", "skipped"]
#: Counts outputs that could not be compared, beside the judgements of differences.
NOT_COMPARED = "not compared"


class RunStarted(Event, frozen=True, tag="run-started"):
    """A run began or was resumed; ``specs`` are the names in order, ``sets`` the set of each."""

    name: str
    timestamp: str
    datestamp: str
    treeish: str
    specs: tuple[str, ...]
    sets: dict[str, str] = msgspec.field(default_factory=dict)
    optional: tuple[str, ...] = ()


class SpecStarted(Event, frozen=True, tag="spec-started"):
    """The build of a spec began."""


class SpecEnded(Event, frozen=True, tag="spec-ended"):
    """A spec was built, failed, or was skipped because the maker of its source was not built.

    ``digest`` is that of its text with all tokens filled in, of the files that it names, and of
    catalyst.conf. ``outputs`` has the sizes of its outputs in bytes by path, and ``detail`` further
    lines about a failure.
    """

    how: Ending
    digest: str
    seconds: float = 0.0
    reason: str | None = None
    detail: tuple[str, ...] = ()
    outputs: dict[str, int] = msgspec.field(default_factory=dict)


class HookEnded(Event, frozen=True, tag="hook-ended"):
    """A hook of the configuration ended with a status; ``words`` are its name and arguments."""

    words: tuple[str, ...]
    status: int
    seconds: float
    log: str


class Compared(Event, frozen=True, tag="compared"):
    """Catalyst built a spec, too: its status, and the differences if that is 0.

    ``differs`` counts them by their judgement, ``wrong`` lists some that are not harmless, and
    ``detail`` has the lines of the log that say why it failed.
    """

    status: int
    seconds: float
    log: str
    differs: dict[str, int] = msgspec.field(default_factory=dict)
    wrong: tuple[str, ...] = ()
    detail: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """The result in a few words."""
        if self.status:
            return f"status {self.status}"
        return ", ".join(f"{number} {name}" for name, number in self.differs.items()) or "equal"

    @property
    def complete(self) -> bool:
        """Whether all outputs were compared."""
        return not self.status and NOT_COMPARED not in self.differs


class RunEnded(Event, frozen=True, tag="run-ended"):
    """The run ended; ``status`` is the command's."""

    status: int
    seconds: float


OwnEvent = RunStarted | SpecStarted | SpecEnded | HookEnded | Compared | RunEnded


class _Of(msgspec.Struct, frozen=True):
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One event; ``spec`` is empty for those of the run as a whole."""

    spec: str
    event: Event


def encode_entry(entry: Entry) -> bytes:
    """One line, without its end."""
    spec = msgspec.json.encode(entry.spec)
    return b'{"spec":' + spec + b"," + encode_event(entry.event).lstrip(b"{")


class Journal:
    """Appends entries to a file. Safe to use from several threads."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._file = file.open("ab")
        if self._file.tell():  # a killed process may have left half a line
            self._file.write(b"\n")

    def __call__(self, entry: Entry) -> None:
        """Append an entry, unless its event is only of interest while it happens."""
        if isinstance(entry.event, (Phase, Progress, Logging)):
            return
        with self._lock:
            self._file.write(encode_entry(entry) + b"\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(file: Path) -> Iterator[Entry]:
    """The entries of a file; lines that are not complete, or of an unknown kind, are left out."""
    own: msgspec.json.Decoder[OwnEvent] = msgspec.json.Decoder(OwnEvent)
    any_: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)
    of = msgspec.json.Decoder(_Of)
    with file.open("rb") as lines:
        for line in lines:
            for decoder in (own, any_):
                with suppress(*NOT_DECODABLE):
                    event: Event = decoder.decode(line)
                    yield Entry(of.decode(line).spec, event)
                    break


@dataclass(frozen=True, slots=True)
class Before:
    """How a spec ended last; whether its hook has succeeded, and it was compared, since then."""

    ended: SpecEnded
    hooked: bool = False
    compared: bool = False


def ended_specs(entries: Iterable[Entry]) -> Mapping[str, Before]:
    """Each spec that ended, with its last end."""
    found: dict[str, Before] = {}
    for each in entries:
        if isinstance(each.event, SpecEnded):
            found[each.spec] = Before(each.event)
        elif isinstance(each.event, HookEnded) and each.spec in found:
            found[each.spec] = replace(found[each.spec], hooked=each.event.status == 0)
        elif isinstance(each.event, Compared) and each.spec in found:
            found[each.spec] = replace(found[each.spec], compared=each.event.complete)
    return found
