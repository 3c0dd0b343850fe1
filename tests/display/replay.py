"""Streams of events, and a terminal emulator to replay them into."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyte

from cloche.display.frame import Size, View, render
from cloche.display.live import ROWS_OF_A_LINE
from cloche.display.screen import Region
from cloche.display.scrolled import passing
from cloche.display.state import State, fold
from cloche.display.theme import Theme, make_theme
from cloche.records import events

STREAMS = Path(__file__).parent / "streams"
PLAIN = make_theme(colour=False)
SCREENS = Path(__file__).parent / "screens"


def recorded(name: str) -> list[events.Event]:
    """A stream as `--progress json` wrote it; see record.py."""
    packed = STREAMS / f"{name}.jsonl.gz"
    data = (
        gzip.decompress(packed.read_bytes())
        if packed.exists()
        else (STREAMS / f"{name}.jsonl").read_bytes()
    )
    return [msgspec.json.decode(line, type=events.AnyEvent) for line in data.splitlines()]


def folded(stream: Iterable[events.Event]) -> State:
    """The state at the end of a stream."""
    state = State()
    for event in stream:
        state = fold(state, event)
    return state


def many(packages: int = 400, running: int = 30, done: int = 100) -> Iterator[events.Event]:
    """A large build in the middle of its work, the first packages done."""
    draw = random.Random(3)
    names = tuple(f"dev-libs/package{n}-{n}.1::gentoo" for n in range(packages))
    edges = {
        name: tuple(names[d] for d in draw.sample(range(n), min(n // 40, 4)))
        for n, name in enumerate(names)
    }
    yield events.Planned(
        time=0.0, machine="many", packages=names, edges=edges, jobs=running,
        expected=dict.fromkeys(names, 60.0),
    )  # fmt: skip
    for number, name in enumerate(names[:done]):
        how = "built" if number % 3 == 0 else "reused"
        yield events.Done(time=float(number), package=name, how=how, seconds=9.0)
    for name in names[done : done + running]:
        yield events.Started(time=100.0, package=name, step="build")
        yield events.Phase(time=101.0, package=name, phase="compile", state="start")


class Window:
    """A terminal of some size, with what scrolled out of it."""

    def __init__(self, columns: int = 80, rows: int = 24, theme: Theme = PLAIN) -> None:
        self.screen = pyte.HistoryScreen(columns, rows, history=1000)
        self.stream = pyte.Stream(self.screen)
        self.theme = theme
        self.region = Region()
        self.state = State()
        self.frame: list[str] = []

    @property
    def size(self) -> Size:
        return Size(self.screen.columns, self.screen.lines)

    def feed(self, event: events.Event, view: View = View()) -> None:  # noqa: B008
        """Take one event and draw the frame after it."""
        self.state = fold(self.state, event)
        width = ROWS_OF_A_LINE * self.size.columns - 1
        lines = passing(event, self.state, self.theme)
        self.draw([self.theme.draw(line, width) for line in lines], event.time, view)

    def draw(self, above: Sequence[str] = (), now: float = 0.0, view: View = View()) -> None:  # noqa: B008
        """Draw a frame."""
        self.frame = render(self.state, self.size, self.theme, now, view)
        self.stream.feed(self.region.update(self.frame, self.size.columns, above))

    def resize(self, columns: int, rows: int) -> None:
        """Make the window another size; lines that no longer fit go out at the top.

        pyte leaves the cursor behind when it takes lines away; terminals move it along.
        """
        gone = max(0, self.screen.lines - rows)
        self.screen.resize(rows, columns)
        self.screen.cursor.y = max(0, self.screen.cursor.y - gone)
        self.screen.cursor.x = min(self.screen.cursor.x, columns - 1)

    @property
    def lines(self) -> list[str]:
        """What is to be seen, down to the last line that is not empty."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n").split("\n")

    @property
    def scrolled(self) -> list[str]:
        """What went out at the top."""
        return [
            "".join(row[column].data for column in range(self.screen.columns)).rstrip()
            for row in self.screen.history.top
        ]

    @property
    def colours(self) -> set[str]:
        """Foreground colours and attributes in use."""
        cells = [cell for row in self.screen.buffer.values() for cell in row.values()]
        return {c.fg for c in cells} | {
            a for c in cells for a in ("bold", "reverse") if getattr(c, a)
        }


def replayed(stream: Iterable[events.Event], window: Window | None = None) -> Window:
    """A window after a stream, a frame after each event."""
    window = window or Window()
    for event in stream:
        window.feed(event)
    return window


@dataclass(frozen=True)
class Scene:
    """A moment of a recorded stream in a window. There it is ``resized``, and the rest comes."""

    stream: str
    columns: int
    rows: int
    moment: Callable[[State], bool]
    resized: tuple[int, int] | None = None

    def screen(self) -> str:
        """All that went by, a line, and what is to be seen."""
        window = Window(self.columns, self.rows)
        stream = iter(recorded(self.stream))
        for event in stream:
            window.feed(event)
            if self.moment(window.state):
                break
        if self.resized:
            window.resize(*self.resized)
            replayed(stream, window)
        return "\n".join([*window.scrolled, "-" * window.size.columns, *window.lines, ""])


def _thirty(state: State) -> bool:
    return state.count("running") == 30 and state.count("built") >= 40


def _failed(state: State) -> bool:
    return state.count("failed") > 0


def _over(state: State) -> bool:
    return state.finished is not None


SCENES = {
    "thirty-80x24": Scene("many", 80, 24, _thirty),
    "thirty-120x80": Scene("many", 120, 80, _thirty),
    "failure-100x40": Scene("many", 100, 40, _failed),
    "resized-120x50-to-70x20": Scene("many", 120, 50, _failed, (70, 20)),
    "resized-70x20-to-120x50": Scene("many", 70, 20, _thirty, (120, 50)),
    "reused-80x24": Scene("reused", 80, 24, _over),
}  # compared with screens/NAME.txt; `python tests/display/record.py` writes those, to be read
