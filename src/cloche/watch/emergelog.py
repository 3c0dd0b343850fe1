"""Reads ``emerge.log``, which has whole seconds and no pids (Portage's emergelog.py).

Lines are ``EPOCH: TEXT``. Several emerges write to one file; all lines since the start of the
followed run are read as its own. Pure functions over lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from cloche.plan.names import cp_of

_LINE = re.compile(r"(\d+): +(.*)")
_STARTED = re.compile(r">>> emerge \((\d+) of (\d+)\) (\S+/\S+) to ")
_COMPLETED = re.compile(r"::: completed emerge \((\d+) of (\d+)\) (\S+/\S+) to ")
_MERGING = re.compile(r"=== \((\d+) of (\d+)\) Merging (?:Binary )?\((\S+?/\S+?)::")
_BEGIN = "Started emerge on: "
_END = "*** terminating."
_EARLIER = 10  # runs of a package for its median
_SLACK = 2.0  # seconds by which the log may be ahead of a process's start, being rounded

Step = Literal["build", "merge"]


@dataclass(frozen=True, slots=True)
class Logged:
    """One run in the log: its present work and since when; what it has completed, and how long."""

    running: Mapping[str, Step] = field(default_factory=dict)
    completed: Mapping[str, float] = field(default_factory=dict)
    total: int = 0
    ended: bool = False


def read_run(lines: Iterable[str], began: float) -> Logged:
    """The run that began at ``began`` (seconds since the epoch), from the lines of a log."""
    running: dict[str, Step] = {}
    since: dict[str, int] = {}
    completed: dict[str, float] = {}
    total, inside, ended = 0, False, False
    for now, text in _entries(lines):
        if now < began - _SLACK:
            continue
        if text.startswith(_BEGIN) and not inside:
            inside = True
        elif found := _STARTED.match(text):
            total = int(found[2])
            running[found[3]] = "build"
            since[found[3]] = now
        elif found := _MERGING.match(text):
            running[found[3]] = "merge"
        elif found := _COMPLETED.match(text):
            running.pop(found[3], None)
            completed[found[3]] = float(now - since.get(found[3], now))
        elif text.startswith(_END):
            ended = True
    return Logged(running, completed, total, ended)


def earlier_seconds(lines: Iterable[str], before: float) -> dict[str, float]:
    """Median seconds of each package's (CATEGORY/PN) last runs that ended before a moment."""
    since: dict[str, int] = {}
    took: dict[str, list[float]] = {}
    for now, text in _entries(lines):
        if now >= before:
            break
        if found := _STARTED.match(text):
            since[found[3]] = now
        elif (found := _COMPLETED.match(text)) and found[3] in since:
            took.setdefault(cp_of(found[3]), []).append(float(now - since.pop(found[3])))
    return {cp: median(times[-_EARLIER:]) for cp, times in took.items()}


def expected(packages: Sequence[str], earlier: Mapping[str, float]) -> dict[str, float]:
    """Expected seconds of packages (ids) with known earlier runs."""
    by_name = {name: cp_of(name.split("::")[0]) for name in packages}
    return {name: earlier[cp] for name, cp in by_name.items() if cp in earlier}


def _entries(lines: Iterable[str]) -> Iterable[tuple[int, str]]:
    for line in lines:
        if found := _LINE.match(line):
            yield int(found[1]), found[2].strip()
