"""A frame: the exact lines that show a build at one moment. No clock, no terminal, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cloche.display.lanes import VERTEX, Row, width_of
from cloche.display.layout import Layout, Sets, lay_out
from cloche.display.state import Node, State, Status
from cloche.display.text import for_whom, seconds
from cloche.display.theme import LEFT, RIGHT, Segment, Theme, clip, columns
from cloche.plan.names import bare, cp_of

CELL = 10  # columns of the smallest cell of a grid
TIMED_CELL = 16  # columns in which part of a name and a time fit
FULL_CELL = 38  # columns in which a name, a phase and a time fit
BAR = 20  # columns
NAME = 16  # columns of the machine's name that are shown before numbers have words

HELP = (
    ("up down", "choose a package"),
    ("Enter", "its log, followed as it grows; up and down scroll it"),
    ("q Esc", "back to the graph, or clear the selection"),
    ("s", "stop the chosen package (asks first)"),
    ("S", "stop the whole build, as Ctrl-C does (asks first)"),
    ("f", "freeze the display; press again to continue"),
)


Wish = Literal["stop", "stop all"]


@dataclass(frozen=True, slots=True)
class Size:
    """Of the whole window, in characters."""

    columns: int
    rows: int

    @property
    def frame(self) -> int:
        """Lines that a frame may take: half of the window, and one at least."""
        return max(1, self.rows // 2)


@dataclass(frozen=True, slots=True)
class View:
    """What the person at the keyboard looks at, and what the host says.

    ``log`` is the end of the chosen package's log, ``back`` by how many lines it is scrolled.
    ``left`` is the estimate in seconds. ``ask`` is a question that waits for a key, and ``wish``
    what "y" would do.
    """

    mode: Literal["graph", "log", "help"] = "graph"
    chosen: str | None = None
    frozen: bool = False
    log: tuple[str, ...] = ()
    back: int = 0
    ask: str | None = None
    wish: Wish | None = None
    left: float | None = None
    load: float | None = None
    keys: bool = True


def render(state: State, size: Size, theme: Theme, now: float, view: View) -> list[str]:
    """The frame's lines, none wider than the window, never more than half of its height."""
    width = max(1, size.columns - 1)  # a full line would leave the cursor's place to chance
    foot = _foot(state, theme, now, view, width)
    if size.frame < 4:
        foot = foot[-1:] if view.ask or not foot else foot[:1]
    room = size.frame - len(foot)
    if view.mode == "graph" or (view.mode == "log" and not view.chosen):
        lines = _graph(state, room, width, theme, now, view) if room > 0 else []
        return [*lines, *(theme.draw(line, width) for line in foot)]
    if room <= 0:
        body: list[Sequence[Segment]] = []
    elif view.mode == "help":
        body = [((f"{key:>8}  ", "bold"), (text, "")) for key, text in HELP[:room]]
    else:
        body = _log(state, view, room)
    return [theme.draw(line, width) for line in (*body, *foot)]


def layout_of(state: State, size: Size, view: View) -> Layout:
    """What the graph of this frame shows: also the packages that keys move through."""
    return _layout(state, size.frame - (2 if size.frame >= 4 else 1), size.columns - 1, view)


def _layout(state: State, room: int, width: int, view: View) -> Layout:
    place = state.order.index.get(view.chosen or "")
    sets = Sets(
        running=state.set("running"),
        failed=state.set("failed"),
        waiting=state.set("waiting"),
        built=state.set("built"),
        chosen=0 if place is None else 1 << place,
    )
    return lay_out(state.order, sets, max(0, room), max(2, width // 3))


def _graph(state: State, room: int, width: int, theme: Theme, now: float, view: View) -> list[str]:
    layout = _layout(state, room, width, view)
    if layout.rows is None:
        return _grid(state, layout.places, room, width, theme, now, view)
    gutter = width_of(layout.rows)
    lines = []
    for row in layout.rows:
        node, name = state.nodes[row.place], state.order.names[row.place]
        status = "skipped" if state.doomed >> row.place & 1 else node.status
        about = _about(state, row.place, node, now) + for_whom(name, state.machines)
        lines.append(_row(row, gutter, name, status, about, name == view.chosen, theme, width))
    return lines


@lru_cache(maxsize=1024)  # between two frames most rows stay as they are
def _row(
    row: Row,
    gutter: int,
    name: str,
    status: Status,
    about: str,
    chosen: bool,
    theme: Theme,
    width: int,
) -> str:
    line: list[Segment] = [(theme.pointer if chosen else " ", "bold")]
    line.extend(cells_of(row, theme, status))
    line.append((" " * (gutter - row.width), ""))
    line.append((bare(name), "chosen" if chosen else "bold" if status == "running" else ""))
    line.append((f"  {about}", "dim"))
    return theme.draw(line, width)


@lru_cache(maxsize=1024)
def cells_of(row: Row, theme: Theme, status: Status) -> tuple[Segment, ...]:
    """A row's part of the graph."""
    lines, onwards = theme.lines, (" ", theme.lines[LEFT | RIGHT])
    texts = [lines[directions & ~VERTEX] + onwards[on] for directions, on in row.cells]
    own = next(n for n, (directions, _) in enumerate(row.cells) if directions == VERTEX)
    after = texts[own][1:] + "".join(texts[own + 1 :])
    return ("".join(texts[:own]), "edge"), (theme.marks[status], status), (after, "edge")


def _about(state: State, place: int, node: Node, now: float) -> str:
    """What is to be said of a package behind its name."""
    match node.status:
        case "running":
            expected = state.expected[place]
            usual = f" of ~{short(expected)}" if expected else ""
            waiting = state.set("waiting") & ~state.doomed
            after = (state.order.above[place] & waiting).bit_count()
            behind = f", {after} wait" if after else ""
            return f"{node.doing}  {short(now - node.since)}{usual}{behind}"
        case "waiting" if state.doomed >> place & 1:
            failed = (state.order.below[place] & state.set("failed")).bit_count()
            return "needs what failed" if failed else "will not be started"
        case "waiting":
            left = (state.order.needs[place] & ~state.ended).bit_count()
            return f"waits for {left}" if left else "ready"
        case "failed":
            return node.reason or "failed"
        case "built":
            return short(node.seconds)
        case _:
            return node.status


def _grid(
    state: State, places: Sequence[int], room: int, width: int, theme: Theme, now: float, view: View
) -> list[str]:
    """Many at once: several in a line, shortened as need be; a page when that is too much."""
    across = min(max(1, width // CELL), -(-len(places) // room))
    page = across * room
    first = 0
    tell = len(places) > page and room > 1
    if len(places) > page:
        page = across * (room - tell)
        at = state.order.index.get(view.chosen or "", -1)
        first = places.index(at) // page * page if at in places else 0
    lines: list[str] = []
    shown = places[first : first + page]
    for start in range(0, len(shown), across):
        cells = []
        for place in shown[start : start + across]:
            name, node = state.order.names[place], state.nodes[place]
            age = int(now - node.since) if node.status == "running" else 0
            cells.append((name, node, age, name == view.chosen))
        lines.append(_line(tuple(cells), width // across, theme, width))
    if tell:
        more = len(places) - len(shown)
        text = f" {theme.ellipsis} and {more} more (up, down)"
        lines.append(theme.draw([(text, "dim")], width))
    return lines


@lru_cache(maxsize=1024)  # of many cells few change between two frames
def _line(
    cells: tuple[tuple[str, Node, int, bool], ...], cell: int, theme: Theme, width: int
) -> str:
    """A line of a grid: for each cell the package, its age and whether it is chosen."""
    segments = (part for one in cells for part in _cell(*one, cell, theme))
    return theme.draw(tuple(segments), width)


def _cell(
    name: str, node: Node, age: int, chosen: bool, width: int, theme: Theme
) -> tuple[Segment, ...]:
    mark = theme.pointer if chosen and not theme.styles else theme.marks[node.status]
    room = width - 3
    text = bare(name)
    if width < FULL_CELL:
        text = cp_of(name.partition("::")[0]).partition("/")[2] or text
    if node.status == "running" and width >= TIMED_CELL:
        about = f" {short(age)}"
        if width >= FULL_CELL:
            about = f" {node.doing}{about}"
        text = clip(text, max(4, room - len(about)), theme.ellipsis) + about
    text = clip(text, room, theme.ellipsis)
    text += " " * (room - columns(text))
    return ((f"{mark} ", node.status), (text, "chosen" if chosen else ""), (" ", ""))


def _log(state: State, view: View, room: int) -> list[Sequence[Segment]]:
    name = view.chosen or ""
    node = state.node(name) or Node()
    what = f"{node.step} log" if node.step else "log"
    head: list[Segment] = [(bare(name), "bold"), (f"  {what}, q: back", "dim")]
    end = max(0, len(view.log) - view.back)
    lines = view.log[max(0, end - (room - 1)) : end] if room > 1 else ()
    shown = list(lines) or ["(nothing yet)"] if room > 1 else []
    return [head, *([(f" {line}", "")] for line in shown)]


def _foot(
    state: State, theme: Theme, now: float, view: View, width: int
) -> list[Sequence[Segment]]:
    """Totals; times."""
    return [_totals(state, theme, width), _times(state, theme, now, view)]


def _totals(state: State, theme: Theme, width: int) -> Sequence[Segment]:
    """How many of what. The bar gives way to numbers, then their words, then the machine's name."""
    total, ended = len(state.nodes), state.ended.bit_count()
    least = min(NAME, columns(state.machine)) + 1
    for words in (True, False):
        head: list[Segment] = [(f" {ended}/{total}", "bold")] if total else [("preparing", "dim")]
        for status, number, word in _counts(state):
            said = f" {word}" if words else ""
            head.append((f"  {theme.marks[status]} {number}{said}", status))
        taken = sum(columns(text) for text, _ in head)
        if least + taken <= width:
            break
    if not state.machine:
        return head
    name = clip(state.machine, max(1, width - taken - 1), theme.ellipsis)
    bar = max(0, min(BAR, width - taken - columns(name) - 1))
    full = bar * ended // total if total else 0
    lead = [(f"{name} ", "bold"), (theme.bar[0] * full, "built")]
    return [*lead, (theme.bar[1] * (bar - full), "dim"), *head]


def _counts(state: State) -> list[tuple[Status, int, str]]:
    doomed = state.doomed.bit_count()
    statuses: tuple[Status, ...] = ("running", "failed", "built", "reused")
    counts: list[tuple[Status, int, str]] = [(s, state.count(s), s) for s in statuses]
    counts.append(("waiting", state.count("waiting") - doomed, "waiting"))
    counts.append(("skipped", state.count("skipped") + doomed, "not started"))
    return [each for each in counts if each[1]]


def _times(state: State, theme: Theme, now: float, view: View) -> Sequence[Segment]:
    if view.ask:
        return [(view.ask, "failed")]
    parts = []
    for name, since in state.stages.items():
        reached = f" ({state.reached[name]})" if name in state.reached else ""
        parts.append(f"{name} {short(now - since)}{reached}")
    if state.began is not None:
        parts.append(f"{short(now - state.began)} so far")
    if view.left is not None:
        parts.append(f"about {short(view.left)} left")
    if view.load is not None:
        parts.append(f"load {view.load:.1f}")
    tail = f"  {theme.dot}  ".join(parts)
    line: list[Segment] = [("frozen (f)  ", "failed")] if view.frozen else []
    line.append((tail, "dim"))
    if view.keys:
        line.append((f"  {theme.dot}  ? help", "dim"))
    return line


def short(value: float) -> str:
    """Whole seconds, as people read them: a display has no use for tenths that change."""
    value = max(0.0, value)
    return f"{int(value)} s" if value < 100 else seconds(value)
