"""What a run of all tests says of its time: the slowest modules, and when each worker was done."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import pytest

MODULES = 30


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
    ]
