"""A graph that stands still: as text with lanes, or in DOT (Graphviz's language)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cloche.display.frame import cells_of
from cloche.display.lanes import draw_lanes, width_of
from cloche.display.state import Status
from cloche.display.theme import Segment, Theme
from cloche.plan.names import bare
from cloche.plan.order import make_order


@dataclass(frozen=True, slots=True)
class Picture:
    """Packages in merge order, the edges to what each needs, and what is said of each.

    ``notes`` is behind the name: what a build would do, how long it took; ``strong`` names are
    what was asked for.
    """

    names: tuple[str, ...]
    edges: Mapping[str, tuple[str, ...]]
    status: Mapping[str, Status] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    strong: frozenset[str] = frozenset()

    def status_of(self, name: str) -> Status:
        """A package's status, "waiting" by default."""
        return self.status.get(name, "waiting")


def as_text(picture: Picture, theme: Theme, width: int) -> list[str]:
    """One line a package, what it needs above it."""
    order = make_order(picture.names, picture.edges)
    rows = tuple(draw_lanes(order, range(len(order.names))))
    gutter = width_of(rows)
    lines = []
    for row in rows:
        name = order.names[row.place]
        line: list[Segment] = list(cells_of(row, theme, picture.status_of(name)))
        line.append((" " * (gutter - row.width), ""))
        line.append((bare(name), "bold" if name in picture.strong else ""))
        if note := picture.notes.get(name):
            line.append((f"  {note}", "dim"))
        lines.append(theme.draw(line, width))
    return lines


_COLOURS: Mapping[Status, str] = {
    "waiting": "#e8a33d",
    "running": "#e8d33d",
    "built": "#4caf6d",
    "reused": "#6d8fc7",
    "failed": "#d9534f",
    "skipped": "#9a9a9a",
}


def as_dot(picture: Picture, title: str) -> str:
    """Graphviz's language; an arrow leads from a package to what it needs."""
    lines = [f"digraph {_quoted(title)} {{", "  rankdir=LR;", "  node [shape=box, style=rounded];"]
    for name in picture.names:
        note = picture.notes.get(name)
        label = f"{bare(name)}\n{note}" if note else bare(name)
        colour = _COLOURS[picture.status_of(name)]
        width = ", penwidth=2" if name in picture.strong else ""
        lines.append(f"  {_quoted(name)} [label={_quoted(label)}, color={_quoted(colour)}{width}];")
    lines.extend(
        f"  {_quoted(name)} -> {_quoted(other)};"
        for name in picture.names
        for other in picture.edges.get(name, ())
    )
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
