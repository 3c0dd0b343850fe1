"""Displays of lines: plain ones for logs, pipes and CI; JSON for programs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from cloche.display.text import count, for_whom, one_line, seconds, size
from cloche.plan.names import bare
from cloche.records import events
from cloche.records.events import Event, Version, encode_event
from cloche.records.logs import log_lines

HEARTBEAT = 60.0  # seconds after which something that runs is heard from again


@dataclass(frozen=True, slots=True)
class Running:
    """A package or a stage at work: its step or phase, when that step began, and its last line."""

    doing: str
    began: float
    heard: float


def output_in(log: str) -> Iterator[str]:
    """The lines of a stage's log, without those of cloche itself; none if the log is missing."""
    with suppress(OSError):
        for line in log_lines(Path(log)):
            if not line.startswith("=== cloche: "):
                yield line.rstrip("\n")


def overdue(running: Mapping[str, Running], now: float) -> tuple[str, ...]:
    """Names of what was silent for too long, and of what soon would be: one line is for all."""
    if not any(now - each.heard >= HEARTBEAT for each in running.values()):
        return ()
    return tuple(name for name, each in running.items() if now - each.heard >= HEARTBEAT / 2)


class Plain:
    """Lines with counts and times. Safe to call from one thread at a time."""

    def __init__(self, stream: TextIO, *, verbose: bool = False) -> None:
        self._stream = stream
        self._verbose = verbose
        self._total = 0
        self._ended = 0
        self._machines: Mapping[str, tuple[str, ...]] = {}
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._beat = threading.Thread(target=self._heartbeat, daemon=True)

    def __call__(self, event: events.Event) -> None:
        """Show one event, or keep in mind what it says."""
        if self._beat.ident is None:
            self._beat.start()  # not before: without threads an engine is opened more quickly
        with self._lock:
            for line in self._lines(event):
                self._write(line)

    def attach(self, stop: Callable[[str], None]) -> None:
        """There are no keys."""

    def close(self) -> None:
        """Stop the heartbeat."""
        self._closed.set()
        if self._beat.ident is not None:
            self._beat.join()

    def _write(self, line: str) -> None:
        self._stream.write(one_line(line) + "\n")
        self._stream.flush()

    def _lines(self, event: events.Event) -> list[str]:
        match event:
            case events.Note():
                return [f"{'warning: ' if event.level == 'warning' else ''}{event.text}"]
            case events.Planned():
                self._total, self._ended = len(event.packages), 0
                self._machines = event.machines
                return [f"{event.machine}: {count(self._total, 'package')} in the plan"]
            case events.Stage():
                return self._stage(event)
            case events.Progress():
                self._goes_on(event.stage, f"{event.done} of {event.of}")
                return []
            case events.Started():
                self._begins(event.package, event.step)
                return [self._doing(event.step, event.package)] if event.step == "build" else []
            case events.Phase(state="start"):
                self._goes_on(event.package, event.phase)
                return [self._doing(event.phase, event.package)] if self._verbose else []
            case events.Phase(phase="fetch"):  # its turn may come much later
                self._running.pop(event.package, None)
                return []
            case events.Fetched():
                return [self._doing("fetched", f"{event.file} ({size(event.size)})")]
            case events.Done():
                return self._done(event)
            case events.Finished():
                return [self._sum(event)]
            case _:
                return []

    def _stage(self, event: events.Stage) -> list[str]:
        if event.state == "start":
            self._begins(event.title, event.title)
            return []
        self._running.pop(event.title, None)
        took = "reused" if event.reused else seconds(event.seconds)
        line = f"{event.title}: {took}"
        if event.reused or event.log is None or not event.detail:
            return [line]
        if self._verbose:
            return [*(f"  | {text}" for text in output_in(event.log)), line]
        return [f"{line}, log {event.log}" if event.detail.startswith("hook ") else line]

    def _done(self, event: events.Done) -> list[str]:
        self._running.pop(event.package, None)
        self._ended += event.how != "skipped"
        name = bare(event.package)
        took = f"  {seconds(event.seconds)}" if event.how in ("built", "failed") else ""
        why = f"  {event.reason}" if event.reason else ""
        width = len(str(self._total))
        whom = for_whom(event.package, self._machines) if event.how in ("built", "failed") else ""
        return [f"[{self._ended:>{width}}/{self._total}] {event.how:<8} {name}{took}{whom}{why}"]

    def _doing(self, what: str, name: str) -> str:
        return f"{'':>{2 * len(str(self._total)) + 3}} {what:<8} {bare(name)}"

    def _begins(self, name: str, doing: str) -> None:
        now = time.monotonic()
        self._running[name] = Running(doing, now, now)

    def _goes_on(self, name: str, phase: str) -> None:
        now = time.monotonic()
        before = self._running.get(name, Running(phase, now, now))
        heard = now if self._verbose else before.heard
        self._running[name] = Running(phase, before.began, heard)

    def _sum(self, event: events.Finished) -> str:
        parts = [f"{event.built} built", f"{event.reused} reused"]
        if event.failed:
            parts.append(f"{event.failed} failed")
        if event.skipped:
            parts.append(f"{event.skipped} not started")
        return f"{', '.join(parts)} in {seconds(event.seconds)}"

    def _heartbeat(self) -> None:
        while not self._closed.wait(1.0):
            with self._lock:
                now = time.monotonic()
                if names := overdue(self._running, now):
                    self._write(f"still running: {', '.join(self._again(n, now) for n in names)}")

    def _again(self, name: str, now: float) -> str:
        """Something that still runs, which is heard from herewith."""
        at = self._running[name] = replace(self._running[name], heard=now)
        what = "" if at.doing == name else f"{at.doing}, "
        return f"{bare(name)} ({what}{seconds(now - at.began)})"


class JsonLines:
    """Writes each event as a line of JSON, first the version of the schema (``docs/events.md``)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = False

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if not self._begun:
            self._begun = True
            self._write(Version(time=event.time))
        self._write(event)

    def attach(self, stop: Callable[[str], None]) -> None:
        """There are no keys."""

    def close(self) -> None:
        """Nothing is held."""

    def _write(self, event: Event) -> None:
        self._stream.write(encode_event(event).decode() + "\n")
        self._stream.flush()
