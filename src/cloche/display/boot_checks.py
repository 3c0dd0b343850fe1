"""How the checks of a booted machine went: a line for each, or plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloche.booting.checks import PASSED, Result, passed
from cloche.display.text import count, one_line

_STATE, _KIND = 8, 8  # columns


def line(result: Result) -> str:
    """A check with its result and its seconds."""
    words = f"{result.state:{_STATE}} {result.seconds:7.1f} s  {result.kind:{_KIND}} {result.name}"
    return one_line(f"{words}: {result.why}" if result.why else words)


def summary(results: Sequence[Result]) -> str:
    """The last line."""
    good = sum(each.state == PASSED for each in results)
    return f"{good} of {count(len(results), 'check')} passed"


def as_data(results: Sequence[Result], log: Path) -> dict[str, Any]:
    """All of it for programs."""
    checks = [asdict(each) for each in results]
    return {"passed": passed(results), "checks": checks, "log": str(log)}
