"""Seconds of a processor as bars, for docs/profile.md. Nothing here measures anything."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from bench.curves import COLOURS
from bench.table import markdown

#: Seconds of a processor by package, phase, kind.
Table = MutableMapping[str, MutableMapping[str, MutableMapping[str, float]]]

WIDTH, LEFT, BAR, GAP = 900, 250, 16, 5  # pixels

HEAD = """\
# What a package costs

Written by `make profile`.
"""
ONE_BY_ONE = """
## One package after the other

Seconds of processor time by package, phase and kind of work, as perf(1) sampled them while the
packages were built one after the other. "its start" is Portage's own start, until the first phase
begins. "in between" is what happens between and after the phases: cloche captures the layer and
computes its digest there.

![processor time by package, phase and kind of work](profile.svg)
"""


def write(
    directory: Path, table: Table, kinds: Sequence[str], about: Sequence[tuple[str, str]]
) -> None:
    """Write the page and its first picture."""
    (directory / "profile.svg").write_text(svg(table, kinds))
    (directory / "profile.md").write_text(page(table, kinds, about))


def page(table: Table, kinds: Sequence[str], about: Sequence[tuple[str, str]]) -> str:
    """The page: what was measured where, and one table for each package."""
    parts = [HEAD, *markdown(("", ""), about), ONE_BY_ONE]
    for package, phases in table.items():
        parts.append(f"\n### {package.partition('::')[0]}\n")
        parts.append("| phase | " + " | ".join(kinds) + " | all |")
        parts.append("| --- |" + " --- |" * (len(kinds) + 1))
        rows = {**phases, "**all**": _added(phases, kinds)}
        for phase, row in rows.items():
            cells = [f"{row[kind]:.2f}" if row.get(kind, 0) >= 0.005 else "" for kind in kinds]
            parts.append(f"| {phase} | " + " | ".join(cells) + f" | {sum(row.values()):.2f} |")
    return "\n".join(parts) + "\n"


def _added(phases: Mapping[str, Mapping[str, float]], kinds: Sequence[str]) -> dict[str, float]:
    return {kind: sum(row.get(kind, 0.0) for row in phases.values()) for kind in kinds}


def svg(table: Table, kinds: Sequence[str]) -> str:
    """One bar for each phase; each package has a scale of its own."""
    parts: list[str] = []
    y = 20.0
    for number, kind in enumerate(kinds):
        x = 10.0 + (number % 4) * 220
        parts.append(_bar(x, y + number // 4 * 20 - 10, 12, COLOURS[number]))
        parts.append(f'<text x="{x + 18}" y="{y + number // 4 * 20}">{escape(kind)}</text>')
    y += 20 * (1 + (len(kinds) - 1) // 4) + 10
    for package, phases in table.items():
        total = sum(sum(row.values()) for row in phases.values())
        title = f"{package.partition('::')[0]}: {total:.2f} s"
        parts.append(f'<text x="10" y="{y}" font-weight="bold">{escape(title)}</text>')
        longest = max(sum(row.values()) for row in phases.values())
        for phase, row in phases.items():
            y += BAR + GAP
            parts.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(phase)}</text>')
            x = float(LEFT)
            for number, kind in enumerate(kinds):
                width = (WIDTH - LEFT - 70) * row.get(kind, 0.0) / longest
                parts.append(_bar(x, y - BAR + 4, width, COLOURS[number]))
                x += width
            parts.append(f'<text x="{x + 5:.1f}" y="{y}">{sum(row.values()):.2f} s</text>')
        y += 2 * BAR + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" '
        f'height="{y:.0f}" font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{y:.0f}" fill="#fff"/>'
    )
    return "\n".join([head, *parts, "</svg>", ""])


def _bar(x: float, y: float, width: float, colour: str) -> str:
    if width < 0.05:
        return ""
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR - 2}" fill="{colour}"/>'
