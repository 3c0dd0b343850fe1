"""What the slots of the jobserver did while packages were built in parallel, for docs/profile.md.

A slot is held by a package whose build step runs, held as a token by its make or ninja, or free.
How many tokens are free is read from the FIFO itself, without taking one (ioctl FIONREAD).
"""

from __future__ import annotations

import fcntl
import itertools
import os
import struct
import termios
import textwrap
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from bench.curves import COLOURS
from bench.table import markdown

INTERVAL = 0.01  # seconds between two looks at the FIFO
SLICE = 0.02  # seconds over which the use of processors is averaged for the table
FREE, SHARED = "free", "a token of one of the builds"
CLOCHE, OTHERS = "cloche", "other processes of the machine"

WIDTH, LEFT, LANE, COLUMN = 900, 110, 26, 2  # pixels
_PALETTE = (*COLOURS[:6], "#a6761d", "#7f3c8d", "#80ba5a", "#3969ac", "#cf1c90", "#f97b72")
_FIXED = {CLOCHE: "#333333", OTHERS: "#cccccc", SHARED: "#888888"}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Who had something, from when to when; an ``extra`` slot is a token beside the own slot."""

    owner: str
    start: float
    end: float
    extra: bool = False


@dataclass(frozen=True, slots=True)
class Build:
    """One build in parallel; times are seconds of the wall clock.

    ``steps`` and ``builds`` say when each package was built and merged, and when it was built;
    ``samples`` whom each sample of a processor found, at ``rate`` a second; ``free`` how many
    tokens were in the FIFO.
    """

    cores: int
    rate: int
    steps: Sequence[Stretch]
    builds: Sequence[Stretch]
    samples: Sequence[tuple[float, str]]
    free: Sequence[tuple[float, int]]

    @property
    def start(self) -> float:
        """When the first step started."""
        return min(each.start for each in self.steps)

    @property
    def end(self) -> float:
        """When the last step ended."""
        return max(each.end for each in self.steps)

    @property
    def owners(self) -> list[str]:
        """The packages in the order of their start, then what is none."""
        return [*(each.owner for each in self.steps), CLOCHE, OTHERS]


@contextmanager
def watched(store: Path) -> Iterator[list[tuple[float, int]]]:
    """Note the number of free tokens of the build that runs in a store during the block."""
    found: list[tuple[float, int]] = []
    over = threading.Event()
    thread = threading.Thread(target=_watch, args=(store, found, over), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


def _watch(store: Path, found: list[tuple[float, int]], over: threading.Event) -> None:
    fd = -1
    while not over.wait(INTERVAL):
        if fd < 0:
            for fifo in store.glob("tmp/jobserver-*/fifo"):
                fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            continue
        answer = fcntl.ioctl(fd, termios.FIONREAD, struct.pack("i", 0))
        found.append((time.time(), struct.unpack("i", answer)[0]))
    if fd >= 0:
        os.close(fd)


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """One stretch for each owner, from its first start to its last end, in order of start."""
    ends: dict[str, tuple[float, float]] = {}
    for each in stretches:
        start, end = ends.get(each.owner, (each.start, each.end))
        ends[each.owner] = min(start, each.start), max(end, each.end)
    made = [Stretch(owner, start, end) for owner, (start, end) in ends.items()]
    return sorted(made, key=lambda each: (each.start, each.owner))


def lanes(build: Build) -> list[list[Stretch]]:
    """What each slot did, as stretches without gaps: a package keeps its slot while it is built."""
    found: list[list[Stretch]] = [[] for _ in range(build.cores)]
    moments = [(t, free) for t, free in build.free if build.start <= t < build.end]
    own: dict[str, int] = {}
    for (start, free), (end, _) in zip(moments, [*moments[1:], (build.end, 0)], strict=True):
        running = [each.owner for each in build.builds if each.start <= start < each.end]
        own = {owner: lane for owner, lane in own.items() if owner in running}
        for owner in running:
            rest = [n for n in range(build.cores) if n not in own.values()]
            if owner not in own and rest:
                own[owner] = rest[0]
        by_lane = {lane: owner for owner, lane in own.items()}
        taken = build.cores - len(own) - free
        for lane, stretches in enumerate(found):
            owner, extra = by_lane.get(lane, FREE), False
            if owner == FREE and taken > 0 and running:
                taken -= 1
                owner, extra = running[0] if len(running) == 1 else SHARED, True
            last = stretches[-1] if stretches else None
            if last and (last.owner, last.extra) == (owner, extra):
                start_of = stretches.pop().start
            else:
                start_of = start
            stretches.append(Stretch(owner, start_of, end, extra))
    return found


def slots_held(lanes: Sequence[Sequence[Stretch]]) -> dict[int, float]:
    """Seconds with each number of slots that are not free."""
    changes: Counter[float] = Counter()
    for lane in lanes:
        for each in lane:
            held = each.owner != FREE
            changes[each.start] += held
            changes[each.end] -= held
    seconds: dict[int, float] = defaultdict(float)
    moments, level = sorted(changes), 0
    for start, end in itertools.pairwise(moments):
        level += changes[start]
        seconds[level] += end - start
    return dict(seconds)


def used(build: Build, width: float) -> list[dict[str, float]]:
    """For each ``width`` seconds of the build, how many processors each owner used on average."""
    number = max(1, int((build.end - build.start) / width))
    found: list[dict[str, float]] = [defaultdict(float) for _ in range(number)]
    for moment, owner in build.samples:
        place = int((moment - build.start) / width)
        if moment >= build.start and place < number:
            found[place][owner] += 1 / build.rate / width
    return found


def alone(steps: Sequence[Stretch]) -> dict[str, float]:
    """Seconds in which each package was the only one with a step in work."""
    moments = sorted({moment for each in steps for moment in (each.start, each.end)})
    seconds = {each.owner: 0.0 for each in steps}
    for start, end in itertools.pairwise(moments):
        running = [each.owner for each in steps if each.start <= start < each.end]
        if len(running) == 1:
            seconds[running[0]] += end - start
    return seconds


def add(directory: Path, build: Build) -> None:
    """Add a section to the page that ``bars`` wrote, and draw its picture."""
    (directory / "slots.svg").write_text(svg(build))
    with (directory / "profile.md").open("a") as file:
        file.write(page(build))


def page(build: Build) -> str:
    """The section: how it was measured, the picture, and two tables."""
    seconds = build.end - build.start
    held = slots_held(lanes(build))
    busy: Counter[int] = Counter()
    for part in used(build, SLICE):
        ours = sum(share for owner, share in part.items() if owner != OTHERS)
        busy[min(build.cores, round(ours))] += 1
    shares = [
        (str(n), _percent(held.get(n, 0), sum(held.values())), _percent(busy[n], busy.total()))
        for n in range(build.cores + 1)
    ]
    spent = Counter(owner for moment, owner in build.samples if build.start <= moment < build.end)
    single = alone(build.steps)
    packages = [
        (
            _short(each.owner),
            f"{each.end - each.start:.1f} s",
            f"{spent[each.owner] / build.rate:.1f} s",
            f"{single[each.owner]:.1f} s" if single[each.owner] >= 0.05 else "",
        )
        for each in build.steps
    ]
    others = spent[OTHERS] / build.rate / seconds
    own = spent[CLOCHE] / build.rate
    how = (
        f"A build of {len(build.steps)} packages with `--jobs {build.cores}`: {seconds:.1f} s from "
        "the first step to the last. The upper part of the picture shows the slots. A package "
        "holds one slot while it is built; its make can take a free one as a token (pale). The "
        f"number of free tokens is read from the FIFO every {INTERVAL * 1000:.0f} ms. Fetching and "
        "merging need no slot. The lower part shows what the processors worked for: perf(1) "
        f"samples each of them {build.rate} times a second; a column is an average over its width."
    )
    shared = (
        "Share of the time with this number of slots held, and with this number of processors used "
        f"by the build (averaged over {SLICE * 1000:.0f} ms and rounded). Other processes of the "
        f"machine, perf included, used {others:.2f} processors on average."
    )
    costs = (
        f"cloche's own processes, outside of sandboxes, used {own:.1f} s of processor time. "
        '"alone" is the time in which no other package was being built or merged.'
    )
    lines = [
        "",
        f"## Packages in parallel: what the {build.cores} slots of the jobserver did",
        "",
        textwrap.fill(how, 100),
        "",
        "![slots of the jobserver, and the use of the processors](slots.svg)",
        "",
        textwrap.fill(shared, 100),
        "",
        *markdown(("number", "slots held", "processors used"), shares),
        "",
        textwrap.fill(costs, 100),
        "",
        *markdown(("package", "build and merge", "processor time", "alone"), packages),
        "",
    ]
    return "\n".join(lines)


def svg(build: Build) -> str:
    """The lanes of the slots, and below them the use of the processors, over the same time."""
    span = build.end - build.start
    scale = (WIDTH - LEFT - 20) / span
    colours = {each.owner: _PALETTE[n % len(_PALETTE)] for n, each in enumerate(build.steps)}
    colours |= _FIXED
    parts: list[str] = []
    y = 20.0
    for number, lane in enumerate(lanes(build)):
        parts.append(_text(LEFT - 8, y + LANE / 2 + 4, f"slot {number + 1}", "end"))
        parts.append(_box(LEFT, y, span * scale, LANE - 4, "#f4f4f4"))
        for each in lane:
            if each.owner == FREE:
                continue
            x, width = LEFT + (each.start - build.start) * scale, (each.end - each.start) * scale
            parts.append(
                _box(x, y, width, LANE - 4, colours[each.owner], 0.45 if each.extra else 1)
            )
            if not each.extra and width > 7 * len(name := _name(each.owner)):
                parts.append(_text(x + 4, y + LANE / 2 + 2, name, colour="#fff"))
        y += LANE
    height = build.cores * 2 * LANE
    y += 14
    parts.append(_box(LEFT, y, span * scale, height, "#f4f4f4"))
    parts += _stacked(build, colours, scale, y + height, height / build.cores)
    for number in range(build.cores + 1):
        line = y + height - number * height / build.cores
        parts.append(_box(LEFT, line, span * scale, 0.5, "#000"))
        parts.append(_text(LEFT - 8, line + 4, f"{number} processors", "end"))
    y += height
    step = next(each for each in (1, 2, 5, 10, 20, 60, 120, 300, 600) if span / each < 15)
    for second in range(0, int(span) + 1, step):
        parts.append(_text(LEFT + second * scale, y + 16, f"{second} s", "middle"))
    y += 40
    for number, owner in enumerate(build.owners):
        x, line = LEFT + number % 4 * 195, y + number // 4 * 18
        parts.append(_box(x, line - 10, 12, 12, colours[owner]))
        parts.append(_text(x + 18, line, _short(owner)))
    bottom = y + 18 * ((len(build.owners) - 1) // 4 + 1)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom:.0f}" '
        f'width="{WIDTH}" height="{bottom:.0f}" font-family="sans-serif" font-size="11">'
        f'<rect width="{WIDTH}" height="{bottom:.0f}" fill="#fff"/>'
    )
    return "\n".join([head, *(part for part in parts if part), "</svg>", ""])


def _stacked(
    build: Build, colours: dict[str, str], scale: float, bottom: float, unit: float
) -> list[str]:
    """One path for each owner: its columns, on top of those of the owners before it."""
    paths: dict[str, list[str]] = defaultdict(list)
    for number, column in enumerate(used(build, COLUMN / scale)):
        x, y = LEFT + number * COLUMN, bottom
        for owner in build.owners:
            height = min(column.get(owner, 0.0) * unit, y - (bottom - build.cores * unit))
            if height >= 0.2:
                paths[owner].append(f"M{x} {y:.1f}h{COLUMN}v{-height:.1f}h{-COLUMN}z")
                y -= height
    return [
        f'<path fill="{colours[owner]}" d="{"".join(parts)}"/>' for owner, parts in paths.items()
    ]


def _box(x: float, y: float, width: float, height: float, colour: str, opacity: float = 1) -> str:
    if width < 0.05:
        return ""
    faded = f' fill-opacity="{opacity}"' if opacity < 1 else ""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}" '
        f'fill="{colour}"{faded}/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = "#000") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "—"


def _short(owner: str) -> str:
    return owner.partition("::")[0]


def _name(owner: str) -> str:
    return _short(owner).rpartition("/")[2]
