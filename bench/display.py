"""What the live display costs: one frame, and the share of a core."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator

from bench.table import Aim, Row
from cloche.display.estimate import time_left
from cloche.display.frame import Size, View, render
from cloche.display.live import Live
from cloche.display.state import State, fold
from cloche.display.theme import make_theme
from cloche.records import events

PACKAGES, RUNNING, DONE = 1000, 64, 200
SIZES = (Size(80, 24), Size(120, 50), Size(200, 150))
FRAMES = 100
SECONDS = 10.0  # of the display at work
PHASES = ("setup", "unpack", "prepare", "configure", "compile", "test", "install", "package")
FRAME, SHARE = Aim(16, of="value"), Aim(0.5, of="value")  # ms; percent


def plan() -> events.Planned:
    """A thousand packages; each waits for up to five of the two hundred before it."""
    draw = random.Random(5)
    names = tuple(f"dev-libs/package{n}-1.{n}::gentoo" for n in range(PACKAGES))
    edges = {
        name: tuple(names[d] for d in draw.sample(range(max(0, n - 200), n), min(n // 64, 5)))
        for n, name in enumerate(names)
    }
    expected = {name: draw.uniform(5, 600) for name in names}
    return events.Planned(
        time=0.0, machine="bench", packages=names, edges=edges, expected=expected, jobs=RUNNING
    )


def begun() -> Iterator[events.Event]:
    """The plan, two hundred built packages, one that failed, and 64 that run."""
    planned = plan()
    yield planned
    for name in planned.packages[:DONE]:
        yield events.Done(time=50.0, package=name, how="built", seconds=20.0)
    yield events.Done(time=50.0, package=planned.packages[-1], how="failed")
    for name in planned.packages[DONE : DONE + RUNNING]:
        yield events.Started(time=60.0, package=name, step="build")


def loaded() -> State:
    """The state after that."""
    state = State()
    for event in begun():
        state = fold(state, event)
    return state


def frames_of_new_states(size: Size) -> list[float]:
    """Milliseconds of frames, each of a state in which a package ended and another began.

    No layout fits twice, and the first frame is among them.
    """
    state, theme, view = loaded(), make_theme(), View(load=1.0, left=90.0)
    names = state.order.names
    waiting = iter(names[DONE + RUNNING :])
    spent = []
    for name in names[DONE : DONE + FRAMES // 2]:
        spent.append(_drawn(state, size, theme, 100.0, view))
        state = fold(state, events.Done(time=100.0, package=name, how="built"))
        spent.append(_drawn(state, size, theme, 100.0, view))
        state = fold(state, events.Started(time=100.0, package=next(waiting), step="build"))
    return spent


def frames_of_one_state(size: Size) -> list[float]:
    """Milliseconds of frames in which nothing but the times differs."""
    state, theme, view = loaded(), make_theme(), View(load=1.0, left=90.0)
    return [_drawn(state, size, theme, 100.0 + n, view) for n in range(FRAMES)]


def _drawn(state: State, size: Size, theme: object, now: float, view: View) -> float:
    began = time.process_time()
    render(state, size, theme, now, view)  # type: ignore[arg-type]
    return (time.process_time() - began) * 1000


class Window(io.StringIO):
    """A stream that passes for a terminal, and counts what is drawn."""

    encoding = "utf-8"
    drawn = 0

    def isatty(self) -> bool:
        """Always."""
        return True

    def write(self, text: str) -> int:
        """Count."""
        self.drawn += 1
        return len(text)


def share_of_core(size: Size, seconds: float = SECONDS) -> tuple[float, float]:
    """Percent of a core that the display takes with 20 events a second, and frames a second.

    What making the events costs is taken off.
    """
    window = Window()
    live = Live(window, {"TERM": "xterm"})
    live._foreground = lambda: True  # type: ignore[method-assign]
    live._size = lambda: size  # type: ignore[method-assign]
    busy, drawn = _share(live, window, seconds)
    if not live._thread.is_alive():
        raise RuntimeError("the display died")
    live.close()
    idle, _ = _share(lambda _: None, window, seconds / 2)
    return (busy - idle) * 100, drawn


def _share(sink: events.Sink, window: Window, seconds: float) -> tuple[float, float]:
    for event in begun():
        sink(event)
    time.sleep(0.5)
    draw, packages = random.Random(7), plan().packages
    running = list(packages[DONE : DONE + RUNNING])
    waiting = iter(packages[DONE + RUNNING :])
    drawn, used, began = window.drawn, time.process_time(), time.monotonic()
    number = 0
    while time.monotonic() - began < seconds:
        number += 1
        place = draw.randrange(RUNNING)
        if number % 20 == 0:
            sink(events.Done(package=running[place], how="built", seconds=5.0))
            running[place] = next(waiting)
            sink(events.Started(package=running[place], step="build"))
        else:
            sink(events.Phase(package=running[place], phase=draw.choice(PHASES), state="start"))
        time.sleep(0.05)
    used, took = time.process_time() - used, time.monotonic() - began
    return used / took, (window.drawn - drawn) / took


def rows() -> Iterator[Row]:
    """Everything, as rows with their aims."""
    for size in SIZES:
        window = f"{size.columns}x{size.rows}"
        what = f"a frame of {PACKAGES:,} packages, {RUNNING} running, in {window}"
        slowest = f"the slowest of {FRAMES}"
        changed, same = frames_of_new_states(size), frames_of_one_state(size)
        yield Row(f"{what}, packages changed: {slowest}", max(changed), "ms", aim=FRAME)
        yield Row(f"{what}, only times changed: {slowest}", max(same), "ms", aim=FRAME)
    state = loaded()
    began = time.process_time()
    time_left(state, 100.0)
    left = (time.process_time() - began) * 1000
    yield Row("the estimate of the time left, every 5 s", left, "ms", aim=FRAME)
    for size in SIZES[1:]:
        share, drawn = share_of_core(size)
        what = f"the live display in {size.columns}x{size.rows}, {drawn:.1f} frames a second"
        yield Row(f"{what}: share of a core", share, "%", aim=SHARE)


if __name__ == "__main__":
    for row in rows():
        print(f"{row.cloche:8.2f} {row.unit:<3} {'met' if row.met else 'NOT MET'}  {row.what}")
