"""What a run of all tests says of its time: slow modules, idle workers, idle processors."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULES = 30


@dataclass(frozen=True)
class Processors:
    """What the host's processors have done since it started, in ticks (proc(5), /proc/stat)."""

    busy: int
    idle: int

    @classmethod
    def now(cls) -> Processors:
        """As it is now."""
        ticks = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
        user, nice, system, idle, waiting, *others = map(int, ticks)
        return cls(user + nice + system + sum(others), idle + waiting)

    def since(self, before: Processors) -> str:
        """How busy they were since then."""
        busy, idle = self.busy - before.busy, self.idle - before.idle
        return f"processors busy {100 * busy / max(busy + idle, 1):.0f} % of the time"


@dataclass(eq=False)  # pytest keeps its plugins in sets
class Disk:
    """How much more of a file system was in use than at the beginning, at most."""

    place: Path
    began: int
    most: int = 0

    @classmethod
    def of(cls, place: Path) -> Disk:
        """That of a directory."""
        return cls(place, shutil.disk_usage(place).used)

    def pytest_runtest_logreport(self) -> None:
        """See what is in use now: a hook of pytest, after each part of a test."""
        self.most = max(self.most, shutil.disk_usage(self.place).used - self.began)

    def __str__(self) -> str:
        return f"at most {self.most / 1e9:.1f} GB of {self.place} taken"


STARTED = Processors.now()


def lines(reports: Iterable[pytest.TestReport]) -> list[str]:
    """The time of each of the slowest modules, and how long before the end each worker ended."""
    modules, ends = defaultdict[str, float](float), defaultdict[str, float](float)
    for report in reports:
        modules[report.nodeid.partition("::")[0]] += report.duration
        worker = getattr(report, "node", None)
        if worker is not None:
            name = worker.gateway.id
            ends[name] = max(ends[name], report.stop)
    slowest = sorted(modules.items(), key=lambda item: -item[1])[:MODULES]
    last = max(ends.values(), default=0)
    return [
        *(f"{seconds:7.1f} s {module}" for module, seconds in slowest),
        *(f"{name} ended {last - end:.0f} s before the last" for name, end in sorted(ends.items())),
        Processors.now().since(STARTED),
    ]
