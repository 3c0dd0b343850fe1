"""A graph as SVG: layers from left to right, what is needed left of what needs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from cloche.display.layered import Item, layered
from cloche.display.picture import Picture
from cloche.plan.names import bare

CHARACTER, LINE, GAP, MARGIN = 7.3, 26.0, 56.0, 14.0  # pixels
POINT = 0.45  # of a line: the room for an edge that only passes

_STYLE = """
  text { font: 12px ui-monospace, monospace; fill: #222 }
  rect { rx: 5; fill: #f4f4f2; stroke: #999 }
  path { fill: none; stroke: #8a8a8a; stroke-opacity: .7 }
  .reused rect { stroke: #6d8fc7 } .built rect { stroke: #4caf6d; fill: #e5f4e9 }
  .waiting rect { stroke: #e8a33d; fill: #fdf3e1 } .failed rect { stroke: #d9534f; fill: #fbe4e3 }
  .running rect { stroke: #b59b00; fill: #fff3a8; stroke-width: 2.5 }
  .skipped rect { stroke-dasharray: 4 3 }
  .strong text { font-weight: bold }
  @media (prefers-color-scheme: dark) { text { fill: #111 } svg { background: #555 } }
"""


def as_svg(picture: Picture, title: str) -> str:
    """One self-contained image; every package is a group whose title tells what is known of it."""
    layers = layered(picture.names, picture.edges)
    names = picture.names
    widths = [
        max((len(bare(names[i[0]])) for i in column if i[1] < 0), default=0) * CHARACTER + 16
        for column in layers.columns
    ]
    lefts = [MARGIN + sum(widths[:n]) + GAP * n for n in range(len(widths))]
    middles, height = _heights(layers.columns)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_end(lefts, widths):.0f}" '
        f'height="{height:.0f}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
    ]
    parts.extend(_path(chain, lefts, widths, middles) for chain in layers.chains)
    for number, column in enumerate(layers.columns):
        for item in column:
            if item[1] < 0:
                box = (lefts[number], middles[item], widths[number])
                parts.append(_box(picture, names[item[0]], *box))
    return "\n".join([*parts, "</svg>"])


def _heights(columns: Sequence[Sequence[Item]]) -> tuple[dict[Item, float], float]:
    """The middle of every item, each column centred."""
    heights = [sum(LINE if i[1] < 0 else LINE * POINT for i in column) for column in columns]
    total = max(heights, default=0.0) + 2 * MARGIN
    middles = {}
    for column, height in zip(columns, heights, strict=True):
        at = (total - height) / 2
        for item in column:
            room = LINE if item[1] < 0 else LINE * POINT
            middles[item] = at + room / 2
            at += room
    return middles, total


def _end(lefts: Sequence[float], widths: Sequence[float]) -> float:
    return lefts[-1] + widths[-1] + MARGIN if lefts else 2 * MARGIN


def _path(
    chain: Sequence[Item],
    lefts: Sequence[float],
    widths: Sequence[float],
    middles: Mapping[Item, float],
) -> str:
    """A smooth line from the right side of what is needed to the left side of what needs it."""
    first = chain[0]
    x, y = lefts[first[2]] + widths[first[2]], middles[first]
    parts = [f"M{x:.0f} {y:.1f}"]
    for item in chain[1:]:
        left, down = lefts[item[2]], middles[item]
        parts.append(
            f"C{x + GAP / 2:.0f} {y:.1f} {left - GAP / 2:.0f} {down:.1f} {left:.0f} {down:.1f}"
        )
        x, y = left + widths[item[2]], down
        if item is not chain[-1]:
            parts.append(f"H{x:.0f}")
    return f'<path d="{"".join(parts)}"/>'


def _box(picture: Picture, name: str, left: float, middle: float, width: float) -> str:
    kind = f"{picture.status_of(name)}{' strong' if name in picture.strong else ''}"
    note = f"\n{picture.notes[name]}" if name in picture.notes else ""
    return (
        f'<g class="{kind}"><title>{escape(name + note)}</title>'
        f'<rect x="{left:.0f}" y="{middle - 10:.1f}" width="{width:.0f}" height="20"/>'
        f'<text x="{left + 8:.0f}" y="{middle + 4:.1f}">{escape(bare(name))}</text></g>'
    )
