"""From measured numbers to docs/benchmarks*.md. Nothing here measures anything."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should reach: its ratio, or cloche's own figure, at most ``limit``."""

    limit: float
    of: Literal["ratio", "value"] = "ratio"


@dataclass(frozen=True, slots=True)
class Beside:
    """What cloche's figure is compared with, in the same unit."""

    value: float
    what: str


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. ``unit`` is "s", "ms", "MB", "%" or a noun; ``runs`` counts."""

    what: str
    cloche: float
    unit: str
    beside: Beside | None = None
    aim: Aim | None = None
    runs: int = 1

    @property
    def ratio(self) -> float | None:
        """How many times as much as what it is compared with; None where that is nothing."""
        if self.beside is None or not self.beside.value:
            return None
        return self.cloche / self.beside.value

    @property
    def met(self) -> bool | None:
        """Whether the aim is reached; None where there is no aim, or nothing to hold against it."""
        if self.aim is None:
            return None
        reached = self.ratio if self.aim.of == "ratio" else self.cloche
        return None if reached is None else reached <= self.aim.limit


@dataclass(frozen=True, slots=True)
class Report:
    """The content of a file. ``about`` is pairs of a property of the run and its value."""

    title: str
    about: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    others: Sequence[Row]
    notes: Sequence[str]


def median_row(
    what: str,
    cloche: Sequence[float],
    unit: str,
    beside: tuple[Sequence[float], str] | None = None,
    aim: Aim | None = None,
) -> Row:
    """Make a row of the medians of several measurements."""
    compared = Beside(statistics.median(beside[0]), beside[1]) if beside and beside[0] else None
    return Row(what, statistics.median(cloche), unit, compared, aim, len(cloche))


def figure(value: float, unit: str) -> str:
    """Three significant digits and the unit; things that are counted (plural) as they are."""
    if unit not in ("s", "ms", "MB", "%"):
        return f"{value:g} {unit.removesuffix('s') if value == 1 else unit}"
    return f"{significant(value)} {unit}"


def significant(value: float) -> str:
    """Three significant digits, no exponent."""
    if value >= 100:
        return f"{value:.0f}"
    if value >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def render(report: Report) -> str:
    """Write the whole file as Markdown."""
    return "\n".join(
        [
            f"# {report.title}",
            "",
            "Written by `make bench`; each line compares two things measured in the same run.",
            "",
            *markdown(("", ""), report.about),
            "",
            *_rows(report.rows),
            "",
            *(["## Beside these", "", *_rows(report.others), ""] if report.others else []),
            "## Method",
            "",
            *(f"- {note}" for note in report.notes),
            "",
        ]
    )


def _rows(rows: Sequence[Row]) -> list[str]:
    heads = ("what", "cloche", "compared with", "ratio", "aim", "met?")
    return markdown(heads, [_cells(row) for row in rows])


def _cells(row: Row) -> tuple[str, ...]:
    runs = f" (median of {row.runs})" if row.runs > 1 else ""
    compared = f"{figure(row.beside.value, row.unit)}: {row.beside.what}" if row.beside else "—"
    return (
        row.what + runs,
        figure(row.cloche, row.unit),
        compared,
        "—" if row.ratio is None else significant(row.ratio),
        _aim(row),
        {True: "yes", False: "**no**", None: "—"}[row.met],
    )


def _aim(row: Row) -> str:
    if row.aim is None:
        return "—"
    limit = row.aim.limit
    if row.aim.of == "ratio":
        return f"≤ {limit:.2f}"
    return f"≤ {limit:g} {row.unit.removesuffix('s') if row.unit == 'packages' else row.unit}"


def markdown(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown, line by line."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    rule = ["---"] * len(heads)
    return ["| " + " | ".join(line) + " |" for line in (heads, rule, *cells)]
