"""Curves as SVG: panels side by side, both axes logarithmic. Nothing here measures anything."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 330, 300  # of one panel, in pixels
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 34, 40
# Told apart by people who see colours differently (Okabe and Ito), and by their marks.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot: for each curve's name its points (x, y), all above 0."""

    title: str
    x: str
    curves: Mapping[str, Sequence[tuple[float, float]]]


def svg(panels: Sequence[Panel]) -> str:
    """The drawing of all panels, with one legend below them."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.curves))
    rows = math.ceil(len(names) / 3)
    width, height = WIDTH * len(panels), HEIGHT + 24 + 20 * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for number, panel in enumerate(panels):
        parts.append(f'<g transform="translate({number * WIDTH},0)">')
        parts += _panel(panel, names)
        parts.append("</g>")
    for number, name in enumerate(names):
        x, y = LEFT + (number % 3) * (width - LEFT) / 3, HEIGHT + 20 + 20 * (number // 3)
        parts.append(_mark(x + 12, y - 4, number))
        parts.append(_line([(x, y - 4), (x + 24, y - 4)], COLOURS[number % len(COLOURS)]))
        parts.append(f'<text x="{x + 32:.0f}" y="{y}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, names: Sequence[str]) -> list[str]:
    points = [point for curve in panel.curves.values() for point in curve]
    across = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    up = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [f'<text x="{LEFT}" y="20" font-weight="bold">{escape(panel.title)}</text>']
    for tick in across.ticks():
        x = across.at(tick)
        parts.append(_line([(x, TOP), (x, HEIGHT - BOTTOM)], "#e4e4e4", 1))
        y = HEIGHT - BOTTOM + 15
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="middle">{tick:g}</text>')
    for tick in up.ticks():
        height = up.at(tick)
        parts.append(_line([(LEFT, height), (WIDTH - RIGHT, height)], "#e4e4e4", 1))
        parts.append(f'<text x="{LEFT - 5}" y="{height + 4:.1f}" text-anchor="end">{tick:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(panel.x)}</text>'
    )
    for name, curve in panel.curves.items():
        number = names.index(name)
        places = [(across.at(x), up.at(y)) for x, y in curve]
        parts.append(_line(places, COLOURS[number % len(COLOURS)]))
        parts += [_mark(x, y, number) for x, y in places]
    return parts


class _Scale:
    """A logarithmic axis from whole steps of 1, 2, 5 to whole steps."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self._steps = [
            factor * 10.0**power
            for power in range(
                math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1
            )
            for factor in (1, 2, 5)
        ]
        self.low = max(step for step in self._steps if step <= min(values))
        self.high = min(step for step in self._steps if step >= max(values))
        if self.low == self.high:
            self.high = min(step for step in self._steps if step > self.low)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        return [step for step in self._steps if self.low <= step <= self.high]


def _line(places: Sequence[tuple[float, float]], colour: str, width: float = 1.8) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _mark(x: float, y: float, number: int) -> str:
    colour = COLOURS[number % len(COLOURS)]
    shapes = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>',
        f'<rect x="{x - 3:.1f}" y="{y - 3:.1f}" width="6" height="6" fill="{colour}"/>',
        f'<path d="M{x:.1f},{y - 4:.1f} l4,7 h-8 z" fill="{colour}"/>',
        f'<path d="M{x:.1f},{y - 4:.1f} l4,4 l-4,4 l-4,-4 z" fill="{colour}"/>',
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#fff" stroke="{colour}"/>',
    )
    return shapes[number % len(shapes)]
