"""The picture of a build in the terminal."""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import threading
import time
from collections.abc import Sequence
from typing import Any

from cloche.client.program.events import Progress, follow
from cloche.client.program.service import Service
from cloche.client.program.text import clock, short, shown

MARKS = {"waiting": "·", "built": "✔", "reused": "✔", "failed": "✘", "skipped": "-", "running": "▶"}
PLAIN = str.maketrans("┌├└─·✔✘▶…", "/|\\-.+x>~")
NEIGHBOURS = 3  # of a package that is being built, in each direction


def picture(progress: Progress, now: float, since: float, size: os.terminal_size) -> list[str]:
    """The graph around the packages that are being built, in lines that fit the terminal."""
    parts = [] if progress.stage else ["waiting"]
    if progress.steps:
        done = progress.count("built", "reused")
        parts = [f"{done} of {len(progress.steps)} done", f"{len(progress.running)} running"]
    if failed := progress.count("failed", "skipped"):
        parts.append(f"{failed} failed or skipped")
    parts += [progress.stage] if progress.stage else []
    lines = [" · ".join([*parts, clock(now - since)])]
    for number, id in enumerate(progress.running):
        block = branches(progress, id, now)
        left = len(progress.running) - number
        if len(lines) + len(block) + (left > 1) > size.lines - 2:
            lines.append(f"  … {left} more running")
            break
        lines += block
    return [shown(line)[: size.columns - 1] for line in lines]


def branches(progress: Progress, id: str, now: float) -> list[str]:
    """A package that is being built, below what it needs and above what needs it."""
    step = progress.steps[id]
    took = clock(now - step.since)
    if progress.expected.get(id):
        took += f" of about {clock(progress.expected[id])}"
    needs = neighbours(progress, progress.needs.get(id, []))
    later = neighbours(progress, progress.needed_by.get(id, []))
    return [
        *(f"  {'┌' if n == 0 else '├'} {text}" for n, text in enumerate(needs)),
        f"  ▶ {short(id)}  {step.doing}  {took}",
        *(f"  {'├' if n < len(later) - 1 else '└'} {text}" for n, text in enumerate(later)),
    ]


def neighbours(progress: Progress, ids: Sequence[str]) -> list[str]:
    """Some packages with their states."""
    states = [(progress.steps[id].state, id) for id in ids if id in progress.steps]
    lines = [f"{MARKS.get(state, ' ')} {short(id)}" for state, id in states[:NEIGHBOURS]]
    if len(states) > NEIGHBOURS:
        lines.append(f"… {len(states) - NEIGHBOURS} more")
    return lines


class Screen:
    """Lines that stay, and below them a picture that is drawn again: only on a terminal."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.color = self.live and not os.environ.get("NO_COLOR")
        self.drawn = 0

    def say(self, line: str) -> None:
        """Write a line that stays."""
        self._erase()
        self._write(shown(line) + "\n")

    def draw(self, lines: Sequence[str]) -> None:
        """Draw the picture in the place of the one before."""
        if self.live:
            self._erase()
            self._write("".join(f"{self._highlighted(line)}\n" for line in lines))
            self.drawn = len(lines)

    def close(self) -> None:
        """Take the picture away."""
        self._erase()
        self.stream.flush()

    def _highlighted(self, line: str) -> str:
        return f"\x1b[1;7m{line}\x1b[0m" if self.color and line.startswith("  ▶") else line

    def _erase(self) -> None:
        if self.drawn:
            self._write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def _write(self, text: str) -> None:
        try:
            self.stream.write(text)
        except UnicodeEncodeError:
            self.stream.write(text.translate(PLAIN).encode("ascii", "replace").decode())
        self.stream.flush()


def watch(service: Service, build: str, events: str, screen: Screen) -> Progress:
    """Show a build until it is over. Raises Problem, KeyboardInterrupt."""
    found: queue.Queue[tuple[str, Any]] = queue.Queue()
    threading.Thread(target=read_into, args=(found, service, build, events), daemon=True).start()
    progress, since = Progress(), time.time()
    try:
        while True:
            with contextlib.suppress(queue.Empty):
                kind, value = found.get(timeout=1)
                if kind == "end":
                    return progress
                if kind == "problem":
                    raise value
                line = value if kind == "line" else progress.take(value, time.time())
                if line and (not screen.live or kind == "line" or value.get("event") in LASTING):
                    screen.say(f"  {line}")
                if not found.empty():
                    continue
            screen.draw(picture(progress, time.time(), since, shutil.get_terminal_size()))
    finally:
        screen.close()


LASTING = ("done", "note")  # events whose lines stay above the picture


def read_into(
    found: queue.Queue[tuple[str, Any]], service: Service, build: str, events: str
) -> None:
    """Put the events of a build into a queue: only the main thread gets Ctrl-C."""
    try:
        for event in follow(service, build, events, lambda line: found.put(("line", line))):
            found.put(("event", event))
    except Exception as error:  # the main thread raises it
        found.put(("problem", error))
    else:
        found.put(("end", None))
