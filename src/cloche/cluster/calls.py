"""The plan's side of its tasks: what is known of each call, as workers report it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec

from cloche.cluster.errands import Answer, Report
from cloche.cluster.peer import Handler, in_thread
from cloche.records.events import Event, Note, decode_events

SILENCE = 30.0  # seconds without a report after which a worker that had begun is given up


class Call:
    """One task, sent perhaps several times. Safe to use from several threads.

    ``hear`` gets each event once. ``attempt`` names the time it was sent last.
    """

    def __init__(self, token: str, hear: Callable[[Event], None]) -> None:
        self.token = token
        self._hear = hear
        self._changed = threading.Condition()
        self.attempt = ""
        self.worker = ""
        self.answer: Answer | None = None
        self.stopped = False
        self._heard: float | None = None
        self._events = 0
        self._left: set[str] = set()  # names of workers that lost it
        self._poked = False

    def sent(self, attempt: str) -> None:
        """The task is sent now, for the first time or again."""
        with self._changed:
            self.attempt, self.worker = attempt, ""
            self._heard, self._events, self._poked = None, 0, False
            self._left.clear()

    def report(self, report: Report) -> bool:
        """Take a report; whether the worker is to go on."""
        with self._changed:
            if self.stopped or report.attempt != self.attempt or report.worker in self._left:
                return False
            moved = self.worker if self.worker != report.worker else ""
            if moved:  # Dask gave the task to another worker
                self._left.add(moved)
                self._events = 0
            self._heard, self.worker = time.monotonic(), report.worker
            new = report.events[max(0, self._events - report.first) :]
            self._events = max(self._events, report.first + len(report.events))
        if moved:
            text = f"the worker {moved} is lost; {report.worker} has its task"
            self._hear(Note(text=text, level="warning"))
        for event in decode_events(line.encode() for line in new):
            self._hear(event)
        if report.answer is not None:
            with self._changed:
                self.answer = report.answer
                self._changed.notify_all()
        return True

    def kill(self) -> None:
        """Stop it: the worker hears of that with its next report."""
        with self._changed:
            self.stopped = True
            self._changed.notify_all()

    def poke(self, *_: Any) -> None:
        """Let `wait` look again: Dask has something to say."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait for an answer, a stop or a `poke`, at most that long."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: self.answer is not None or self.stopped or self._poked, seconds
            )
            self._poked = self._poked and not done

    @property
    def silence(self) -> float | None:
        """Seconds since the last report; None before the first one."""
        with self._changed:
            return None if self._heard is None else time.monotonic() - self._heard


class Calls:
    """The calls that run now, by their tokens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, Call] = {}

    def begin(self, call: Call) -> None:
        """Hear reports about a call from now on."""
        with self._lock:
            self._calls[call.token] = call

    def end(self, call: Call) -> None:
        """A worker that still does it is stopped."""
        with self._lock:
            self._calls.pop(call.token, None)

    def handlers(self) -> dict[str, Handler]:
        """The handler `cloche_report`."""

        def take(text: bytes) -> dict[str, bool]:
            report = msgspec.json.decode(text, type=Report)
            with self._lock:
                call = self._calls.get(report.token)
            return {"wanted": call is not None and call.report(report)}

        async def hear(report: bytes) -> dict[str, bool]:
            return await in_thread(take, report)

        return {"cloche_report": hear}
