"""The graph of a build, from its events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cloche.display.state import State
from cloche.display.svg import as_svg
from cloche.records import events as ev
from cloche.service.events import Journal, Line
from cloche.service.graph import Readings, Told, picture_of, rows_of, summary_of, told

A, B, C = "a/a-1::local", "a/b-1::local", "a/c-1::local"


def lines(*more: ev.Event) -> Iterator[bytes]:
    """The events of a build that has a plan."""
    planned = ev.Planned(machine="x", packages=(A, B, C), edges={B: (A,), C: (B,)}, time=1.0)
    yield from map(ev.encode_event, (planned, *more))
    yield b'{"event":"end","state":"done"}'
    yield b'{"event":"no'


def state_of(found: Iterable[bytes]) -> State:
    """The state after some events."""
    return told(Told(), (Line(n, line) for n, line in enumerate(found))).state


def test_packages_with_news_come_first() -> None:
    state = state_of(
        lines(
            ev.Started(package=A, step="build", time=2.0),
            ev.Done(package=A, how="built", seconds=3.0, time=5.0),
            ev.Started(package=B, step="build", log="/api/log", time=5.0),
            ev.Phase(package=B, phase="compile", state="start", time=6.0),
        )
    )
    rows = rows_of(state, 15.0, over=False)
    assert [(each.name, each.doing, each.seconds) for each in rows] == [
        ("a/b-1", "compile", 10.0),
        ("a/c-1", "waits", None),
        ("a/a-1", "built", 3.0),
    ]
    assert summary_of(state) == "1 of 3 packages, 1 running"
    drawn = as_svg(picture_of(state), "<x>")
    assert drawn.count("<rect") == 3
    assert drawn.count("<path") == 2
    assert "<x>" not in drawn
    assert 'class="running"' in drawn


def test_what_was_not_finished_says_so_when_the_build_is_over() -> None:
    state = state_of(lines(ev.Started(package=A, step="build", time=2.0)))
    assert {each.doing for each in rows_of(state, 9.0, over=True)} == {"was not finished"}


def test_before_there_is_a_plan_stages_are_told() -> None:
    stage = ev.Stage(name="resolve", state="start")
    state = state_of([ev.encode_event(stage)])
    assert summary_of(state) == "resolve"
    assert rows_of(state, 1.0, over=False) == []


def test_only_new_events_are_read_and_a_repeated_build_begins_again(tmp_path: Path) -> None:
    readings = Readings()
    assert readings.read(tmp_path / "none").end == 0
    journal = Journal(tmp_path, "/api", "m", lambda: None)
    journal(ev.Planned(machine="m", packages=(A,), edges={}))
    before = readings.read(tmp_path)
    assert readings.read(tmp_path).state is before.state
    journal(ev.Done(package=A, how="failed", lines=("error: no",)))
    after = readings.read(tmp_path)
    assert after.explained == {"a/a-1": ("error: no",)}
    assert after.state.count("failed") == 1
    (tmp_path / "events.jsonl").unlink()
    journal(ev.Planned(machine="m", packages=(B,), edges={}))
    assert readings.read(tmp_path).state.order.names == (B,)


def test_a_large_build_is_read_fast(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "/api", "m", lambda: None)
    names = tuple(f"a/p{n}-1::local" for n in range(600))
    journal(ev.Planned(machine="m", packages=names, edges={}))
    for name in names:
        for phase in ("unpack", "compile", "install"):
            journal(ev.Phase(package=name, phase=phase, state="start"))
        journal(ev.Done(package=name, how="built"))
    readings = Readings()
    readings.read(tmp_path)
    began = time.process_time()
    readings.read(tmp_path)
    assert time.process_time() - began < 0.1  # of the processor
