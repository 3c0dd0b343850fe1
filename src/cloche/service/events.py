"""The events of builds: a file of lines each, and those who follow it (server-sent events).

The id of an event is where its line ends in the file, so a stream resumes after a restart, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from cloche.records.events import AnyEvent, Done, Logging, Planned, Stage, Started

NAME = "target"  # of any target, for those who see a build
END = "end"  # the last event of a stream
_MESSAGE = b"id: %d\ndata: %s\n\n"
_LOGS = "logs.jsonl"
_EVENTS = "events.jsonl"
_CHUNK = 1 << 18  # bytes of lines that are read at once
_LOOK = 2.0  # seconds after which it is looked whether a stream may go on
_BEAT = 15.0  # seconds after which a comment shows that the stream lives


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file, and where it ends there."""

    end: int
    text: bytes


class Journal:
    """The events of one build, as they are written. Safe to use from several threads.

    Paths of logs are replaced by addresses; where the logs are is noted in a file beside it. The
    name ``hidden``, of a target, is left out.
    """

    def __init__(
        self, room: Path, base: str, machine: str, wake: Callable[[], None], hidden: str = "\n"
    ) -> None:
        self._room, self._base, self._machine, self._wake = room, base, machine, wake
        self._hidden = hidden
        self._lock = threading.Lock()
        room.mkdir(parents=True, exist_ok=True)
        _cut_torn_line(room / _EVENTS)
        _cut_torn_line(room / _LOGS)

    def __call__(self, event: AnyEvent) -> None:
        """Write an event of a build."""
        if isinstance(event, Started | Logging | Done) and event.log:
            self.note_log(event.package, Path(event.log))
        self.write(msgspec.to_builtins(shown(event, self._base, self._machine)))

    def write(self, data: dict[str, Any]) -> None:
        """Write an event as plain data."""
        text = json.dumps(data, separators=(",", ":"))
        self._append(_EVENTS, text.replace(self._hidden, NAME))
        self._wake()

    def note(self, text: str, level: str = "info") -> None:
        """Write a note."""
        self.write({"event": "note", "time": time.time(), "text": text, "level": level})

    def note_log(self, package: str, log: Path) -> None:
        """Note where the log of a package is."""
        self._append(_LOGS, json.dumps({"package": package, "log": str(log)}))

    def _append(self, name: str, text: str) -> None:
        line = text.encode() + b"\n"
        with self._lock, (self._room / name).open("ab", buffering=0) as file:
            file.write(line)


def shown(event: AnyEvent, base: str, machine: str) -> AnyEvent:
    """An event as clients see it: without paths of this host."""
    changes: dict[str, Any] = {}
    if isinstance(event, Started | Logging | Done) and event.log:
        changes["log"] = f"{base}/log/{quote(event.package)}"
    if isinstance(event, Stage) and event.log:
        changes["log"] = None
    if isinstance(event, Done) and event.enter:
        changes["enter"] = None
    if isinstance(event, Planned):
        changes |= {"machine": machine, "depgraph": None}
    return msgspec.structs.replace(event, **changes) if changes else event


def _cut_torn_line(path: Path) -> None:
    """Remove what a kill left of a line."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


def lines(room: Path, start: int = 0, most: int = _CHUNK) -> Iterator[Line]:
    """The lines of a build's events from a place on, up to a size; a torn line is left out.

    What cannot be read is as if it were not there: the last event does not depend on it.
    """
    try:
        with (room / _EVENTS).open("rb") as file:
            if start > 0:
                file.seek(start - 1)
                if file.read(1) != b"\n":  # no place where a line ended
                    start = 0
                file.seek(start)
            first = start
            while start - first < most and (text := file.readline()).endswith(b"\n"):
                start += len(text)
                yield Line(start, text[:-1])
    except OSError:
        return


def size_of(room: Path) -> int:
    """The size of a build's events, in bytes."""
    try:
        return (room / _EVENTS).stat().st_size
    except FileNotFoundError:
        return 0


def log_of(room: Path, package: str) -> Path | None:
    """Where the newest log of a package (CATEGORY/PF, perhaps with its repository) is."""
    found = None
    for name, log in _noted(room):
        if package in (name, name.partition("::")[0]):
            found = log
    return found


def logged(room: Path) -> set[str]:
    """The packages (CATEGORY/PF) that have a log."""
    return {name.partition("::")[0] for name, _ in _noted(room)}


def _noted(room: Path) -> Iterator[tuple[str, Path]]:
    """The packages and logs that were noted."""
    try:
        text = (room / _LOGS).read_text(encoding="utf-8")
    except OSError:
        return
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # torn by a kill
            data = json.loads(line)
            yield data["package"], Path(data["log"])


class Hub:
    """Wakes those who wait for news of a build. For the event loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, asyncio.Event] = {}

    def wake(self, build: str) -> None:
        """There is news."""
        if (event := self._waiting.pop(build, None)) is not None:
            event.set()

    def waker(self, build: str) -> Callable[[], None]:
        """A function for any thread that says that there is news."""

        def wake() -> None:
            if build in self._waiting and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.wake, build)

        return wake

    def wake_all(self) -> None:
        """Let all look again."""
        for build in list(self._waiting):
            self.wake(build)

    async def wait(self, build: str, seconds: float) -> bool:
        """Wait for news; False where none came."""
        event = self._waiting.setdefault(build, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return False
        return True


async def stream(
    hub: Hub,
    build: str,
    room: Path,
    start: int,
    goes_on: Callable[[], bool],
    ending: Callable[[], bytes | None],
) -> AsyncIterator[bytes]:
    """The events of a build as `text/event-stream` (HTML, 9.2), to its end.

    ``goes_on`` says whether it may go on, and is asked before anything is sent. ``ending`` is the
    last event when the build has ended, whatever became of its file.
    """
    yield b"retry: 2000\n\n"
    silent = 0.0
    while goes_on():
        found = list(lines(room, start))
        last = None if found else ending()
        for line in found:
            yield _MESSAGE % (line.end, line.text)
        if last is not None:
            yield _MESSAGE % (start, last)
            return
        if found:
            start, silent = found[-1].end, 0.0
        elif not await hub.wait(build, _LOOK):
            silent += _LOOK
            if silent >= _BEAT:
                silent = 0.0
                yield b": still there\n\n"
