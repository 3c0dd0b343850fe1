"""The events of a build as the client reads, keeps and draws them."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as some
from scripted import Scripted, serving
from tests.client.handed_out import client

EVENTS = [
    {"event": "version", "version": 1, "time": 100.0},
    {"event": "stage", "name": "resolve", "state": "start", "time": 100.0},
    {"event": "stage", "name": "resolve", "state": "end", "time": 101.0},
    {
        "event": "planned", "packages": ["a/lib-1::x", "a/tool-1::x", "a/app-1::x", "a/doc-1::x"],
        "edges": {"a/tool-1::x": ["a/lib-1::x"], "a/app-1::x": ["a/tool-1::x"],
                  "a/doc-1::x": ["a/tool-1::x"]},
        "expected": {"a/tool-1::x": 90.0}, "time": 102.0,
    },
    {"event": "done", "package": "a/lib-1::x", "how": "reused", "seconds": 0, "time": 102.0},
    {"event": "started", "package": "a/tool-1::x", "step": "build", "time": 103.0},
    {"event": "phase", "package": "a/tool-1::x", "phase": "compile", "state": "start",
     "time": 110.0},
    {"event": "done", "package": "a/tool-1::x", "how": "built", "seconds": 61.5, "time": 164.5},
    {"event": "started", "package": "a/app-1::x", "step": "build", "time": 165.0},
    {"event": "done", "package": "a/app-1::x", "how": "failed", "seconds": 1.0, "time": 166.0,
     "reason": "compile failed", "lines": ["error: \x1b[31mno\x1b[0m"]},
    {"event": "done", "package": "a/doc-1::x", "how": "skipped", "seconds": 0, "time": 166.0},
]  # fmt: skip
SIZE = os.terminal_size((80, 24))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr(client, "WAITS", (0, 0))
    monkeypatch.delenv("http_proxy", raising=False)
    with serving() as script:
        script.events = list(EVENTS)
        yield script


def progress_after(count: int, *, ahead: float = 0.0) -> client.Progress:
    progress = client.Progress()
    for event in EVENTS[:count]:
        progress.take(event, event["time"] + ahead)
    return progress


def followed(script: Scripted) -> tuple[list[object], list[str]]:
    told: list[str] = []
    service = client.Service(script.address)
    found = list(client.follow(service, "b1", "/api/v1/builds/b1/events", told.append))
    return found, told


def test_a_whole_stream_gives_each_event_once(script: Scripted) -> None:
    assert followed(script) == (EVENTS, [])


def test_a_cut_stream_goes_on_behind_the_last_whole_event(script: Scripted) -> None:
    script.cut_after = 3
    found, told = followed(script)
    assert found == EVENTS
    assert told == ["the connection was closed; trying again in 0 s"] * 3
    resumed = [headers.get("Last-Event-ID") for headers, _ in script.requests("GET", "/events")]
    assert resumed == [None, "3", "6", "9"]


def test_a_restarted_service_is_waited_for(script: Scripted) -> None:
    script.statuses = [503, 502, 200]
    found, told = followed(script)
    assert found == EVENTS
    assert len(told) == 2


def test_a_service_that_stays_away_ends_the_watch(
    script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PATIENCE", 2)
    script.statuses = [503] * 9
    with pytest.raises(client.Unreachable) as caught:
        followed(script)
    assert "the build goes on" in caught.value.todo
    assert len(script.asked) == 3


def test_a_build_that_is_gone_is_an_answer(script: Scripted) -> None:
    script.statuses = [404]
    with pytest.raises(client.Refusal, match="not now"):
        followed(script)


@given(
    some.lists(some.tuples(some.text("ab \n", max_size=8), some.integers(0, 99)), max_size=5),
    some.sampled_from(["\n", "\r\n"]),
    some.integers(0, 40),
)
def test_messages_are_read_whole_or_not_at_all(
    given: list[tuple[str, int]], end: str, cut: int
) -> None:
    text = "".join(
        "".join(f"data: {line}{end}" for line in data.split("\n")) + f"id:{number}{end}{end}"
        for data, number in given
    ).encode()
    expected = [client.Message(str(number), "message", data) for data, number in given]
    read = list(client.read_messages(io.BytesIO(text)))
    assert read == expected
    some_of_them = list(client.read_messages(io.BytesIO(text[:-cut] if cut else text)))
    assert some_of_them == expected[: len(some_of_them)]


@pytest.mark.parametrize("text", ["", "data", "event: x", ": comment\n\n", "id: 1\n\n", "\xff\n\n"])
def test_what_has_no_data_is_no_message(text: str) -> None:
    assert list(client.read_messages(io.BytesIO(text.encode("latin-1")))) == []


def test_a_message_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LARGEST_MESSAGE", 100)
    with pytest.raises(client.Problem, match="without an end"):
        list(client.read_messages([b"data: 0123456789\n"] * 20))


VALUES = some.recursive(
    some.none() | some.floats() | some.text("ab", max_size=2),
    lambda inner: some.lists(inner) | some.dictionaries(some.text("ab", max_size=2), inner),
    max_leaves=4,
)
FIELDS = ("time", "package", "packages", "edges", "expected", "state", "how", "name", "text",
          "seconds", "step", "phase", "reason", "lines")  # fmt: skip


@given(
    some.dictionaries(some.sampled_from(FIELDS), VALUES),
    some.sampled_from(["planned", "started", "phase", "done", "stage", "note", "x", "_local"]),
)
def test_no_event_stops_the_client(data: object, kind: str) -> None:
    progress = progress_after(4)
    message = client.Message("", kind, json.dumps(data))
    event = client.event_of(message)
    progress.take({**event, "event": kind}, 1.0)
    client.picture(progress, 2.0, 0.0, SIZE)


def test_lines_tell_what_matters() -> None:
    progress = client.Progress()
    lines = [progress.take(event, 100.0) for event in EVENTS]
    assert list(filter(None, lines)) == [
        "4 packages",
        "build a/tool-1",
        "a/tool-1 built in 1:01",
        "build a/app-1",
        "a/app-1 failed: compile failed",
        "a/doc-1 skipped",
    ]


def test_the_picture_shows_what_is_built_between_its_neighbours() -> None:
    assert client.picture(progress_after(7), 133.0, 100.0, SIZE) == [
        "1 of 4 done · 1 running · 33 s",
        "  ┌ ✔ a/lib-1",
        "  ▶ a/tool-1  compile  30 s of about 1:30",
        "  ├ · a/app-1",
        "  └ · a/doc-1",
    ]


def test_times_are_right_with_another_clock_there() -> None:
    line = client.picture(progress_after(7, ahead=1000.0), 1133.0, 1100.0, SIZE)[2]
    assert line == "  ▶ a/tool-1  compile  30 s of about 1:30"


def test_the_picture_fits_the_terminal() -> None:
    progress = client.Progress()
    names = [f"a/{'long' * 40}{n}-1::x" for n in range(30)]
    progress.take({"event": "planned", "packages": names, "edges": {names[9]: names[:9]}}, 0)
    for name in names[9:]:
        progress.take({"event": "started", "package": name, "step": "build", "time": 1}, 1)
    lines = client.picture(progress, 2, 0, os.terminal_size((40, 10)))
    assert len(lines) <= 9
    assert max(map(len, lines)) < 40
    assert lines[-1] == "  … 15 more running"


def test_what_a_service_says_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    evil = "a\x1b]0;x\x07\u202eb\r"
    progress = client.Progress()
    progress.take({"event": "planned", "packages": [evil]}, 0)
    progress.take({"event": "started", "package": evil, "step": evil}, 1)
    progress.take({"event": "stage", "state": "start", "name": evil}, 1)
    lines = client.picture(progress, 2, 0, SIZE)
    assert all(line.isprintable() for line in lines), lines

    def refuse(options: object) -> int:
        raise client.refusal(
            422,
            {"Content-Type": "application/problem+json"},
            json.dumps({"what": evil, "todo": evil, "detail": f"{evil}\n\tx"}).encode(),
        )

    status = client.run_safely(refuse, None)
    assert status == 2
    told = capsys.readouterr().err
    assert all(line.isprintable() for line in told.splitlines()), told


class Terminal(io.StringIO):
    """A terminal that remembers what was written."""

    def isatty(self) -> bool:
        return True


def test_a_watched_build_ends_with_its_progress(
    script: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    screen = client.Screen(terminal)
    service = client.Service(script.address)
    progress = client.watch(service, "b1", "/api/v1/builds/b1/events", screen)
    assert progress.steps["a/app-1::x"].lines == ("error: \x1b[31mno\x1b[0m",)
    assert "  a/tool-1 built in 1:01\n" in terminal.getvalue()
    assert "  build a/tool-1\n" not in terminal.getvalue(), "the picture shows it"


def test_without_a_terminal_there_are_lines_alone(script: Scripted) -> None:
    stream = io.StringIO()
    service = client.Service(script.address)
    client.watch(service, "b1", "/api/v1/builds/b1/events", client.Screen(stream))
    assert stream.getvalue().splitlines()[:2] == ["  4 packages", "  build a/tool-1"]
    assert "\x1b" not in stream.getvalue()


def test_the_picture_is_drawn_in_its_own_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal()
    screen = client.Screen(terminal)
    screen.draw(["one", "  ▶ two"])
    screen.say("stays \x1b[2J")
    screen.draw(["three"])
    screen.close()
    assert terminal.getvalue() == (
        "one\n\x1b[1;7m  ▶ two\x1b[0m\n\x1b[2A\x1b[Jstays \\x1b[2J\nthree\n\x1b[1A\x1b[J"
    )


def test_a_terminal_without_these_characters_gets_others() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    client.Screen(stream).say("┌ ✔ a/lib ü")
    assert raw.getvalue() == b"/ + a/lib ?\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0 s"), (59.9, "59 s"), (60, "1:00"), (3599, "59:59"), (7325, "2:02:05")],
)
def test_times_are_written_as_people_do(seconds: float, text: str) -> None:
    assert client.clock(seconds) == text
