"""Events in; lines for people or JSON out."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from cloche.display import plain
from cloche.display.plain import JsonLines, Plain, Running, overdue
from cloche.display.text import count, one_line, seconds, size, visible
from cloche.records import events
from cloche.records.events import Event

STORY: tuple[Event, ...] = (
    events.Stage(name="resolve", state="start"),
    events.Stage(name="resolve", state="end", seconds=2.0),
    events.Planned(machine="m", packages=("a/a-1::r", "a/b-1::r", "a/c-1::r", "a/d-1::r")),
    events.Started(package="a/a-1::r", step="fetch"),
    events.Fetched(package="a/a-1::r", file="a.tar", size=2048),
    events.Started(package="a/a-1::r", step="build"),
    events.Phase(package="a/a-1::r", phase="compile", state="start"),
    events.Phase(package="a/a-1::r", phase="compile", state="end"),
    events.Done(package="a/a-1::r", how="built", seconds=3.0, layer="l"),
    events.Done(package="a/b-1::r", how="reused", layer="l"),
    events.Done(package="a/c-1::r", how="failed", seconds=1.0, reason="it broke"),
    events.Done(package="a/d-1::r", how="skipped"),
    events.Note(text="look", level="warning"),
    events.Finished(built=1, reused=1, failed=1, skipped=1, seconds=4.0),
)


def told(*story: Event, verbose: bool = False) -> list[str]:
    stream = io.StringIO()
    display = Plain(stream, verbose=verbose)
    for event in story:
        display(event)
    display.close()
    return stream.getvalue().splitlines()


def test_plain_tells_what_matters() -> None:
    assert told(*STORY) == [
        "resolve: 2.0 s",
        "m: 4 packages in the plan",
        "      fetched  a.tar (2.0 KiB)",
        "      build    a/a-1",
        "[1/4] built    a/a-1  3.0 s",
        "[2/4] reused   a/b-1",
        "[3/4] failed   a/c-1  1.0 s  it broke",
        "[3/4] skipped  a/d-1",
        "warning: look",
        "1 built, 1 reused, 1 failed, 1 not started in 4.0 s",
    ]


def test_plain_shows_phases_when_asked() -> None:
    assert "      compile  a/a-1" in told(*STORY, verbose=True)


def test_plain_keeps_an_event_on_one_line_that_cannot_steer() -> None:
    (line,) = told(events.Done(package="a/a-1", how="failed", reason="\x1b[2J\rone\ntwo\u202e"))
    assert line.endswith(r"\x1b[2J\rone\ntwo\u202e")


def test_what_runs_is_heard_from_every_minute_however_much_others_say() -> None:
    now = 1000.0
    running = {
        "slow": Running("compile", began=0.0, heard=now - 60),
        "soon": Running("compile", began=0.0, heard=now - 30),
        "loud": Running("compile", began=0.0, heard=now - 29),
    }
    assert overdue(running, now) == ("slow", "soon")
    assert overdue(running, now - 1) == ()


def test_sources_that_are_there_are_no_work_any_more(monkeypatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT", 0.0)
    stream = io.StringIO()
    display = Plain(stream)
    display(events.Started(package="a/ahead-1::r", step="fetch"))
    display(events.Phase(package="a/ahead-1::r", phase="fetch", state="end"))
    display(events.Stage(name="pack", state="start"))
    for _ in range(100):
        if "still running" in stream.getvalue():
            break
        display._closed.wait(0.1)
    display.close()
    assert stream.getvalue().startswith("still running: pack (")


def test_plain_names_what_runs_after_a_long_silence(monkeypatch) -> None:
    monkeypatch.setattr(plain, "HEARTBEAT", 0.5)
    stream = io.StringIO()
    display = Plain(stream)
    display(events.Started(package="a/slow-1::r", step="build"))
    display(events.Phase(package="a/slow-1::r", phase="compile", state="start"))
    for _ in range(40):
        if "still running" in stream.getvalue():
            break
        display._closed.wait(0.1)
    display.close()
    assert "still running: a/slow-1 (compile, " in stream.getvalue()


def test_json_lines_hold_every_event_whole() -> None:
    stream = io.StringIO()
    display = JsonLines(stream)
    for event in STORY:
        display(event)
    display.close()
    version, *lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert version["event"] == "version"
    assert len(lines) == len(STORY)
    assert lines[2]["event"] == "planned"
    assert lines[10]["reason"] == "it broke"
    assert all(isinstance(line["time"], float) for line in lines)


@given(st.text())
def test_no_text_steers_a_terminal(text: str) -> None:
    shown = visible(text)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    assert "\n" not in one_line(text)
    shown.encode()


def test_plain_text_stays_as_it_is() -> None:
    text = "“Größe” 日本\n\tnext"
    assert visible(text) == text


def test_numbers_as_people_read_them() -> None:
    assert [seconds(v) for v in (0.42, 99.9, 100, 3600, 7500)] == [
        "0.4 s", "99.9 s", "1 min 40 s", "1 h 00 min", "2 h 05 min"]  # fmt: skip
    assert [size(v) for v in (0, 1023, 1536, 780_000_000, 1 << 40)] == [
        "0 B", "1023 B", "1.5 KiB", "744 MiB", "1.0 TiB"]  # fmt: skip
    assert [count(1, "entry", "entries"), count(2, "entry", "entries"), count(0, "dog")] == [
        "1 entry", "2 entries", "0 dogs"]  # fmt: skip
