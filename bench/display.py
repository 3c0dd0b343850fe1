"""What the live display costs: one frame, and a core's share at ten frames a second."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Iterator

from cloche.build import events
from cloche.display.estimate import time_left
from cloche.display.frame import Size, View, render
from cloche.display.live import Live
from cloche.display.state import State, fold
from cloche.display.theme import make_theme

PACKAGES, RUNNING = 1000, 64
SIZES = (Size(80, 24), Size(120, 50), Size(200, 150))
PHASES = ("setup", "unpack", "prepare", "configure", "compile", "test", "install", "package")


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


def loaded() -> State:
    """The plan with 64 running packages and one that failed."""
    planned = plan()
    state = fold(State(), planned)
    for name in planned.packages[:200]:
        state = fold(state, events.Done(time=50.0, package=name, how="built", seconds=20.0))
    state = fold(state, events.Done(time=50.0, package=planned.packages[200], how="failed"))
    for name in planned.packages[201 : 201 + RUNNING]:
        state = fold(state, events.Started(time=60.0, package=name, step="build"))
    return state


def frame_seconds(size: Size) -> tuple[float, float]:
    """The first frame of a state, with its layout; and the frames after it."""
    state, theme, view = loaded(), make_theme(), View(load=1.0, left=90.0)
    began = time.process_time()
    render(state, size, theme, 100.0, view)
    first = time.process_time() - began
    began = time.process_time()
    for number in range(100):
        render(state, size, theme, 100.0 + number, view)
    return first, (time.process_time() - began) / 100


def changing_seconds(size: Size) -> float:
    """A frame of a state in which a package ended and another began: no layout fits twice."""
    state, theme, view = loaded(), make_theme(), View(load=1.0)
    running = [n for n, node in zip(state.order.names, state.nodes, strict=True)
               if node.status == "running"]  # fmt: skip
    spent = 0.0
    waiting = list(state.order.names[201 + RUNNING :])
    for number in range(50):
        state = fold(state, events.Done(time=100.0, package=running[number], how="built"))
        state = fold(state, events.Started(time=100.0, package=waiting[number], step="build"))
        began = time.process_time()
        render(state, size, theme, 100.0, view)
        spent += time.process_time() - began
    return spent / 50


class Window(io.StringIO):
    """A stream that passes for a terminal."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        """Always."""
        return True


def share_of_core(seconds: float = 10.0, size: Size = Size(120, 50)) -> float:  # noqa: B008
    """Processor time of the whole display, over wall clock: 64 packages, 20 events a second."""
    live = Live(Window(), {"TERM": "xterm"})
    live._foreground = lambda: True  # type: ignore[method-assign]
    live._size = lambda: size  # type: ignore[method-assign]
    busy = _share(live, seconds)
    if not live._thread.is_alive():
        raise RuntimeError("the display died")
    live.close()
    return busy - _share(lambda _: None, seconds / 2)


def _share(live: events.Sink, seconds: float) -> float:
    planned = plan()
    live(planned)
    for event in _busy(planned):
        live(event)
    time.sleep(0.5)
    draw, running = random.Random(7), list(planned.packages[200 : 200 + RUNNING])
    waiting = iter(planned.packages[200 + RUNNING :])
    used, began = time.process_time(), time.monotonic()
    number = 0
    while time.monotonic() - began < seconds:
        number += 1
        place = draw.randrange(RUNNING)
        if number % 20 == 0:
            live(events.Done(package=running[place], how="built", seconds=5.0))
            running[place] = next(waiting)
            live(events.Started(package=running[place], step="build"))
        else:
            live(events.Phase(package=running[place], phase=draw.choice(PHASES), state="start"))
        time.sleep(0.05)
    used, took = time.process_time() - used, time.monotonic() - began
    return used / took


def _busy(planned: events.Planned) -> Iterator[events.Event]:
    for name in planned.packages[:200]:
        yield events.Done(package=name, how="reused")
    for name in planned.packages[200 : 200 + RUNNING]:
        yield events.Started(package=name, step="build")


def rows() -> list[tuple[str, float, str, float]]:
    """What was measured, its value, its unit, and the bound it has to keep."""
    found = []
    for size in SIZES:
        window = f"{size.columns}x{size.rows}"
        first, later = frame_seconds(size)
        changing = changing_seconds(size)
        what = f"frame of {PACKAGES} packages, {RUNNING} running, {window}"
        found.append((f"{what}: first", first * 1000, "ms", 16.0))
        found.append((f"{what}: other packages", changing * 1000, "ms", 16.0))
        found.append((f"{what}: only times changed", later * 1000, "ms", 16.0))
    state = loaded()
    began = time.process_time()
    time_left(state, 100.0)
    found.append(("estimate of the time left", (time.process_time() - began) * 1000, "ms", 16.0))
    share = share_of_core()
    found.append(("display at ten frames a second, of a core", share * 100, "%", 1.0))
    return found


if __name__ == "__main__":
    for name, value, unit, bound in rows():
        print(f"{value:8.2f} {unit:<3} (at most {bound:g})  {name}")
