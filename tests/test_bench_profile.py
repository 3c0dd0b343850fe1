"""Reading what perf and a build's events say: whose time is whose."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

from bench import bars, profile, slots

PERF = """\
       perf-exec     0/0         0.000000: PERF_RECORD_COMM: perf-exec:10/10
           perf     10/10        1.000000: PERF_RECORD_COMM exec: sh:10/10
              sh    10/10        1.000000: PERF_RECORD_COMM exec: python:10/10
          python    10/10        1.100000: PERF_RECORD_FORK(11:11):(10:10)
          python    11/11        1.200000: PERF_RECORD_COMM exec: python3:11/11
         python3    11/11        1.250000: cpu-clock:
         python3    11/11        1.260000: PERF_RECORD_FORK(12:12):(11:11)
           bash     12/12        1.270000: PERF_RECORD_COMM exec: ebuild.sh:12/12
       ebuild.sh    12/12        1.300000: cpu-clock:
       ebuild.sh    12/12        1.310000: PERF_RECORD_FORK(13:13):(12:12)
            make    13/13        1.320000: PERF_RECORD_COMM exec: make:13/13
            make    13/13        1.330000: PERF_RECORD_FORK(14:14):(13:13)
             cc1    14/14        1.340000: PERF_RECORD_COMM exec: cc1:14/14
             cc1    14/14        1.350000: cpu-clock:
            make    13/13        1.360000: PERF_RECORD_FORK(13:15):(13:13)
            make    13/15        1.370000: cpu-clock:
         another    90/90        1.380000: cpu-clock:
          python    10/10        1.390000: cpu-clock:
"""
EVENTS = (
    {"event": "started", "package": "a/b-1::r", "step": "build", "time": 1.2},
    {"event": "phase", "package": "a/b-1::r", "phase": "compile", "state": "start", "time": 1.29},
    {"event": "phase", "package": "a/b-1::r", "phase": "compile", "state": "end", "time": 1.38},
    {"event": "done", "package": "a/b-1::r", "how": "built", "time": 2.0},
)


def test_every_sample_below_the_build_is_somebodys() -> None:
    found = profile.processes(PERF.splitlines())
    table = profile.counted(found, found[0], profile.spans(EVENTS))
    one = 1 / profile.RATE
    assert table == {
        "a/b-1::r": {
            "build: its start": {"Portage's Python": one},
            "build: compile": {
                "Portage's shell and tools": one,
                "compiler": one,
                "make and what it runs": one,
            },
            "build: in between": {"cloche": one},
        }
    }
    drawing = ElementTree.fromstring(bars.svg(table, profile.KINDS))
    assert len(drawing.findall("{http://www.w3.org/2000/svg}rect")) > len(profile.KINDS)
    assert "| build: compile |" in bars.page(table, profile.KINDS, [("date", "today")])


def test_guests_belong_to_the_steps_that_end_next_after_them() -> None:
    """Two packages start at once, and their guests in the other order."""
    phases = [
        profile.Span("a/one-1::r", "build", profile.START, 1.0, 2.0),
        profile.Span("a/one-1::r", "build", "compile", 2.0, 9.0),
        profile.Span("a/two-1::r", "build", profile.START, 1.0, 5.0),
    ]
    first = profile.Process(executed=["python3"], since=1.2, ended=4.9)
    second = profile.Process(executed=["python3"], since=1.3, ended=8.8)
    resolver = profile.Process(executed=["python3"], since=0.1, ended=0.9)
    assert profile.steps_of([first, second, resolver], phases) == {
        id(first): ("a/two-1::r", "build"),
        id(second): ("a/one-1::r", "build"),
    }


ONE, TWO = "a/one-1::r", "a/two-1::r"
BUILD = slots.Build(
    cores=2,
    rate=10,
    steps=[slots.Stretch(ONE, 0.0, 5.0), slots.Stretch(TWO, 2.0, 4.0)],
    builds=[slots.Stretch(ONE, 0.0, 4.0), slots.Stretch(TWO, 2.0, 3.0)],
    samples=[(0.1, ONE), (0.2, ONE), (2.1, TWO), (2.2, ONE), (4.5, slots.OTHERS), (9.0, ONE)],
    free=[(-1.0, 2), (0.0, 1), (1.0, 0), (2.0, 0), (3.0, 1), (4.0, 2)],
)


def test_a_slot_is_held_by_a_package_or_as_its_token_or_free() -> None:
    lanes = slots.lanes(BUILD)
    assert lanes == [
        [slots.Stretch(ONE, 0.0, 4.0), slots.Stretch(slots.FREE, 4.0, 5.0)],
        [
            slots.Stretch(slots.FREE, 0.0, 1.0),
            slots.Stretch(ONE, 1.0, 2.0, extra=True),
            slots.Stretch(TWO, 2.0, 3.0),
            slots.Stretch(slots.FREE, 3.0, 5.0),
        ],
    ]
    assert slots.slots_held(lanes) == {0: 1.0, 1: 2.0, 2: 2.0}


def test_with_several_builds_nobody_knows_whose_a_token_is() -> None:
    build = replace(BUILD, cores=4, free=[(2.0, 1), (2.5, 2)], steps=BUILD.steps[1:])
    owners = [[each.owner for each in lane] for lane in slots.lanes(build)]
    assert owners == [[ONE], [TWO], [slots.SHARED, slots.FREE], [slots.FREE]]


def test_the_page_of_slots_counts_processors_and_who_was_alone() -> None:
    assert slots.used(BUILD, 1.0)[0] == {ONE: 0.2}
    assert slots.alone(BUILD.steps) == {ONE: 3.0, TWO: 0.0}
    page = slots.page(BUILD)
    assert "| 1 | 40 % |" in page
    assert "| a/two-1 | 2.0 s | 0.1 s |  |" in page
    drawing = ElementTree.fromstring(slots.svg(BUILD))
    assert len(drawing.findall("{http://www.w3.org/2000/svg}path")) == 3
