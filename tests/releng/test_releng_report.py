"""A run's journal and its report: states, failures, what was built once, continued runs."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from cloche.display.releng_page import page
from cloche.records.events import Done, Phase, Stage
from cloche.releng.journal import (
    Compared,
    Entry,
    HookEnded,
    Journal,
    RunEnded,
    RunStarted,
    SpecEnded,
    SpecStarted,
    ended_specs,
    read_journal,
)
from cloche.releng.report import as_json, report_of
from cloche.releng.report_text import as_text, subject

SPECS = ("a.spec", "b.spec", "c.spec")
STARTED = RunStarted(
    time=100.0,
    name="x",
    timestamp="2026",
    datestamp="2026",
    treeish="abc",
    specs=SPECS,
    sets={"a.spec": "s"},
    optional=("c.spec",),
)


def built(spec: str, package: str, layer: str, **worked: float) -> Entry:
    how = "built" if "build" in worked else "reused"
    event = Done(package=package, how=how, seconds=60.0, worked=worked, layer=layer)  # type: ignore[arg-type]
    return Entry(spec, event)


ENTRIES = [
    Entry("", STARTED),
    Entry("a.spec", SpecStarted(time=101.0)),
    Entry("b.spec", SpecStarted(time=101.0)),
    built("a.spec", "a/x-1::r", "l1", build=8.0, merge=1.0),
    built("b.spec", "a/x-1::r", "l1"),
    built("a.spec", "a/y-1::r", "l2", build=10.0),
    built("b.spec", "a/y-1::r", "l2", merge=1.0),
    built("b.spec", "a/y-1::r", "l2", build=10.0),  # in vain: the same layer
    built("b.spec", "a/y-1::r", "l3", build=10.0),
    Entry("a.spec", Stage(name="pack", state="end", seconds=3.0)),
    Entry("a.spec", SpecEnded(how="built", digest="d", seconds=40.0, outputs={"/o/a.tar": 5})),
    Entry("a.spec", HookEnded(words=("post_build", "s", "a.spec"), status=0, seconds=1, log="l")),
    Entry("b.spec", Done(package="a/z-1::r", how="failed", reason="it <b>broke", lines=("why",))),
    Entry("b.spec", SpecEnded(how="failed", digest="d", seconds=9.0, reason="1 package failed")),
    Entry("c.spec", SpecEnded(how="skipped", digest="d", reason="b.spec is failed")),
    Entry("", RunEnded(time=150.0, status=1, seconds=50.0)),
]


def test_a_journal_gives_back_what_was_written_but_for_what_only_matters_then(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path / "run.jsonl")
    for entry in (*ENTRIES, Entry("a.spec", Phase(package="p", phase="compile", state="start"))):
        journal(entry)
    journal.close()
    assert [*read_journal(tmp_path / "run.jsonl")] == ENTRIES
    line = json.loads((tmp_path / "run.jsonl").read_text().splitlines()[3])
    assert (line["spec"], line["event"], line["package"]) == ("a.spec", "done", "a/x-1::r")


def test_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    journal = Journal(file)
    for entry in ENTRIES[:3]:
        journal(entry)
    journal.close()
    file.write_bytes(file.read_bytes()[:-20])
    journal = Journal(file)
    journal(ENTRIES[0])
    journal.close()
    assert [*read_journal(file)] == [*ENTRIES[:2], ENTRIES[0]]


def test_what_became_of_each_spec(tmp_path: Path) -> None:
    report = report_of(ENTRIES)
    a, b, c = report.specs
    assert (a.how, a.set, a.built, a.busy, a.stages) == ("built", "s", 2, 19.0, 3.0)
    assert (b.how, b.failed[0].reason) == ("failed", "it <b>broke")
    assert (c.how, c.optional) == ("skipped", True)
    assert report.fatal == (b,)
    assert (report.status, report.seconds) == (1, 50.0)


def test_one_spec_is_one() -> None:
    started = msgspec.structs.replace(STARTED, specs=SPECS[:1], optional=())
    assert report_of([Entry("", started)]).sentence == "1 spec: 1 waiting"


def test_equal_results_count_once() -> None:
    shared = report_of(ENTRIES).shared
    assert (shared.wanted, shared.built, shared.layers) == (6, 4, 3)
    assert shared.spent == 9 + 10 + 1 + 10 + 10
    assert shared.distinct == 9 + 10 + 1 + 10
    text = as_text(report_of(ENTRIES))
    assert "6 packages in all specs, 3 of them distinct; 4 built\n1.33 times as long as " in text
    nothing = as_text(report_of([Entry("", STARTED)]))
    assert "0 built\n" in nothing
    assert "times as long" not in nothing
    assert round(shared.ratio, 3) == 1.333


def test_a_run_that_goes_on_is_one_run() -> None:
    again = [
        *ENTRIES[:-1],
        Entry("", msgspec.structs.replace(STARTED, time=500.0)),
        Entry("b.spec", SpecStarted(time=501.0)),
        Entry("b.spec", SpecEnded(time=510.0, how="built", digest="d", seconds=9.0)),
    ]
    report = report_of(again)
    assert [each.how for each in report.specs] == ["built", "built", "skipped"]
    assert report.specs[1].failed == ()
    assert report.began == 100.0
    assert report.status is None


def test_text_and_page_say_what_failed_and_why() -> None:
    report = report_of(ENTRIES)
    text = as_text(report)
    for words in ("a/z-1: it <b>broke", "    why", "1.33 times", "b.spec is failed"):
        assert words in text
    assert subject(report) == "1 of 3 specs failed: b.spec"
    shown = page(report)
    assert "it &lt;b&gt;broke" in shown
    assert "<b>broke" not in shown
    assert "default-src 'none'" in shown
    data = json.loads(as_json(report))
    assert data["shared"]["ratio"] == 1.3333
    assert data["specs"][0]["outputs"] == {"/o/a.tar": 5}


def test_what_catalyst_made_of_a_spec_is_shown() -> None:
    differs = Compared(
        status=0, seconds=1.0, log="l", differs={"wrong": 1}, wrong=("wrong: lost: usr/<b>",)
    )
    unread = msgspec.structs.replace(differs, differs={"not compared": 1}, wrong=("why",))
    failed = Compared(status=2, seconds=1.0, log="/l/a.log", detail=("no <b>such file",))
    for found, words, shown in (
        (differs, ("; catalyst: 1 wrong\n", "  wrong: lost: usr/<b>\n"), "usr/&lt;b&gt;"),
        (failed, ("; catalyst: status 2\n", "see /l/a.log\n  no <b>such"), "no &lt;b&gt;such file"),
        (unread, ("a.spec: was not wholly compared with what catalyst made\n  why\n",), "why"),
        (Compared(status=0, seconds=1.0, log=""), ("; catalyst: equal\n",), "equal"),
    ):
        report = report_of([*ENTRIES, Entry("a.spec", found)])
        assert all(each in as_text(report) for each in words)
        assert shown in page(report)


def test_whether_a_spec_was_compared_since_it_was_built() -> None:
    done = Entry("a.spec", Compared(status=0, seconds=1.0, log="", differs={"wrong": 1}))
    assert ended_specs([*ENTRIES, done])["a.spec"].compared
    failed = Compared(status=2, seconds=1.0, log="")
    unread = Compared(status=0, seconds=1.0, log="", differs={"not compared": 1})
    for event in (failed, unread, SpecEnded(how="built", digest="e")):
        assert not ended_specs([*ENTRIES, done, Entry("a.spec", event)])["a.spec"].compared


def test_whether_a_hook_has_succeeded_since_a_spec_was_built() -> None:
    assert {name: each.hooked for name, each in ended_specs(ENTRIES).items()} == {
        "a.spec": True,
        "b.spec": False,
        "c.spec": False,
    }
    again = [*ENTRIES, Entry("a.spec", SpecEnded(how="built", digest="e"))]
    assert not ended_specs(again)["a.spec"].hooked
