"""Telling a plan's host what happens on a worker, while it happens.

A report also asks whether the task is still wanted: that is how it is stopped, and how it ends
when nobody is left who waits for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable

from cloche.cluster.errands import Answer, Errand, Report, encode
from cloche.cluster.errors import TransferError
from cloche.cluster.peer import Peer
from cloche.records.events import Event, encode_event

BEAT = 0.25  # seconds between two reports while nothing happens
SILENCE = 40.0  # seconds without the plan's host after which a task is stopped
_ANSWERING = 30.0  # seconds in which the end of a task is reported; then Dask does it
_TIMEOUT = 10.0  # seconds of one report


class Reporter:
    """Reports on one errand, in a thread of its own, until `close`.

    ``stop`` is called once when the task is not wanted any more.
    """

    def __init__(self, peer: Peer, errand: Errand, worker: str, stop: Callable[[], None]) -> None:
        self._peer, self._errand, self._worker, self._stop = peer, errand, worker, stop
        self._changed = threading.Condition()
        self._events: list[str] = []
        self._sent = 0
        self._answer: Answer | None = None
        self._closed = False
        self.unwanted = False
        self._thread = threading.Thread(target=self._run, name="cloche-report", daemon=True)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Report an event; a sink of a task's bus."""
        with self._changed:
            self._events.append(encode_event(event).decode())
            self._changed.notify()

    def close(self, answer: Answer) -> None:
        """Report the end, after all events. The plan's host may be out of reach."""
        with self._changed:
            self._answer, self._closed = answer, True
            self._changed.notify()
        self._thread.join(_ANSWERING)

    def _run(self) -> None:
        heard, closed_at = time.monotonic(), 0.0
        while True:
            with self._changed:
                if not self._closed and not self._events:
                    self._changed.wait(BEAT)
                events, closed, answer = tuple(self._events), self._closed, self._answer
                closed_at = closed_at or (time.monotonic() if closed else 0.0)
            if self._reported(events, answer):
                heard = time.monotonic()
                if closed:
                    return
            elif closed and time.monotonic() - closed_at > _ANSWERING:
                return
            else:
                time.sleep(BEAT)
            if time.monotonic() - heard > SILENCE:
                self.end()

    def _reported(self, events: tuple[str, ...], answer: Answer | None) -> bool:
        """Send a report; whether it arrived."""
        errand = self._errand
        report = Report(errand.token, errand.attempt, self._worker, self._sent, events, answer)
        try:
            reply = self._peer.call(
                errand.plan.peer, "cloche_report", _TIMEOUT, report=encode(report)
            )
        except (TransferError, asyncio.CancelledError):
            return False
        with self._changed:
            self._sent += len(events)
            del self._events[: len(events)]
        if isinstance(reply, dict) and not reply.get("wanted", True):
            self.end()
        return True

    def end(self) -> None:
        """Stop the task: it is not wanted any more."""
        if not self.unwanted:
            self.unwanted = True
            self._stop()
