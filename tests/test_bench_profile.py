"""Reading what perf and a build's events say: whose time is whose."""

from __future__ import annotations

from xml.etree import ElementTree

from bench import bars, profile

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
    assert "| build: compile |" in bars.page(table, profile.KINDS)
