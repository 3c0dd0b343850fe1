"""The stream of events: its document, its first line, reading it again."""

import io
import json
import re
from pathlib import Path
from typing import get_args

import msgspec

from cloche.display.plain import JsonLines
from cloche.records.events import (
    VERSION,
    AnyEvent,
    Bus,
    Done,
    Event,
    Note,
    Planned,
    Version,
    decode_events,
    encode_event,
)

DOCUMENT = Path(__file__).parents[2] / "docs" / "events.md"


def documented() -> dict[str, list[str]]:
    """Fields of each kind, out of the document's table."""
    kinds: dict[str, list[str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        if row := re.match(r"\| (?:`(\w+)`)? ?\| `(\w+)` \|", line):
            if row[1]:
                fields = kinds.setdefault(row[1], [])
            fields.append(row[2])
    return kinds


def test_the_document_names_every_kind_and_field() -> None:
    known = {
        kind.__struct_config__.tag: [
            field.name for field in msgspec.structs.fields(kind) if field.name != "time"
        ]
        for kind in get_args(AnyEvent)
    }
    assert documented() == known


def test_every_kind_is_in_the_union() -> None:
    kinds = {kind for kind in Event.__subclasses__() if kind.__module__ == Event.__module__}
    assert set(get_args(AnyEvent)) == kinds


def test_the_document_names_the_version() -> None:
    assert DOCUMENT.read_text().startswith(f"# Events of a build, version {VERSION}\n")


def test_a_stream_begins_with_its_version() -> None:
    stream = io.StringIO()
    sink = JsonLines(stream)
    sink(Note(text="a"))
    sink(Note(text="b"))
    first, *rest = map(json.loads, stream.getvalue().splitlines())
    assert (first["event"], first["version"]) == ("version", VERSION)
    assert [line["text"] for line in rest] == ["a", "b"]


def test_events_are_read_back_and_unknown_ones_passed_over() -> None:
    events = [
        Version(),
        Planned(machine="m", packages=("a/b-1::r",), edges={"a/b-1::r": ("a/c-1::r",)}),
        Done(package="a/b-1::r", how="failed", lines=("x",), enter="cloche shell m"),
    ]
    lines = [encode_event(event) for event in events]
    assert list(decode_events([lines[0], b'{"event":"later"}', b"{", *lines[1:]])) == events


def test_a_bus_has_several_sinks_that_come_and_go() -> None:
    one: list[Event] = []
    two: list[Event] = []
    bus = Bus(one.append)
    sink = two.append
    bus(Note(text="a"))
    bus.add(sink)
    bus(Note(text="b"))
    bus.remove(sink)
    bus(Note(text="c"))
    assert [len(one), len(two)] == [3, 1]
