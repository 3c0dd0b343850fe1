"""The events of builds, and their progress."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from cloche.client.program.problem import Problem
from cloche.client.program.service import (
    LARGEST_MESSAGE,
    PATIENCE,
    WAITS,
    Refusal,
    Service,
    Unreachable,
    as_expected,
    json_in,
)
from cloche.client.program.text import clock, counted, short


@dataclass(frozen=True)
class Message:
    """A server-sent event."""

    id: str
    kind: str
    data: str


def read_messages(lines: Iterable[bytes]) -> Iterator[Message]:
    """Read server-sent events (WHATWG HTML, 9.2.6); one that the stream cuts off is left out."""
    id, kind, size = "", "", 0
    data: list[str] = []
    for line in lines:
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text:
            if data:
                yield Message(id, kind or "message", "\n".join(data))
            kind, size = "", 0
            data = []
            continue
        name, _, value = text.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            size += len(value) + 1
            if size > LARGEST_MESSAGE:
                raise Problem("the service sends an event without an end")
            data.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            id = value


def follow(
    service: Service, build: str, events: str, tell: Callable[[str], None]
) -> Iterator[Mapping[str, Any]]:
    """The events of a build until it is over, across restarts of the service. Raises Problem."""
    last, failed = "", 0
    while True:
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        try:
            with service.open("GET", events, headers=headers) as response:
                for message in read_messages(iter(lambda: response.readline(LARGEST_MESSAGE), b"")):
                    last, failed = message.id or last, 0
                    event = event_of(message)
                    yield event
                    if event["event"] == "end":
                        return
            if is_over(service.call("GET", f"/api/v1/builds/{build}")):
                return
            why = "the connection was closed"
        except (OSError, http.client.HTTPException) as error:
            why = str(error) or type(error).__name__
        except Unreachable as error:
            why = error.what
        except Refusal as error:
            if error.later is None:
                raise
            why = error.what
        if failed == PATIENCE:
            raise Unreachable(why, "the build goes on: run the same command again", status=3)
        wait = WAITS[min(failed, len(WAITS) - 1)]
        failed += 1
        tell(f"{why}; trying again in {wait} s")
        time.sleep(wait)


def is_over(build: Mapping[str, Any]) -> bool:
    """Whether a build has ended, in any way."""
    return build.get("state") not in ("queued", "running")


def event_of(message: Message) -> Mapping[str, Any]:
    """The event (docs/events.md of cloche) in a message; one that cannot be read is empty."""
    found = json_in(message.data)
    if not isinstance(found, dict):
        return {"event": message.kind}
    event = {"event": message.kind, **found}
    return as_expected(event) if event["event"] == "end" else event


@dataclass
class Step:
    """A package of a build: ``state`` is waiting, running, built, reused, failed or skipped."""

    state: str = "waiting"
    doing: str = ""
    since: float = 0.0
    reason: str = ""
    lines: tuple[str, ...] = ()
    log: str = ""  # its address


class Progress:
    """What is known of a build, from its events."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        self.needs: dict[str, list[str]] = {}
        self.needed_by: dict[str, list[str]] = {}
        self.expected: dict[str, float] = {}
        self.stage = ""
        self.result: Mapping[str, Any] = {}  # how the build ended
        self.skew = float("inf")  # by how much this machine's clock is ahead of the service's

    def take(self, event: Mapping[str, Any], now: float) -> str:
        """Take an event; return a line for the user, or nothing."""
        if isinstance(event.get("time"), (int, float)):
            self.skew = min(self.skew, now - event["time"])
        kinds: dict[Any, Callable[[Mapping[str, Any], float], str | None]] = {
            "planned": self._planned, "started": self._started, "phase": self._phase,
            "done": self._done, "stage": self._stage, "note": self._note,
            "end": self._end,
        }  # fmt: skip
        wrong = (KeyError, TypeError, ValueError, AttributeError, OverflowError)
        with contextlib.suppress(*wrong):
            return kinds[event.get("event")](event, now) or ""
        return ""  # a kind that does not matter, or of another version

    def count(self, *states: str) -> int:
        """The number of packages in these states."""
        return sum(step.state in states for step in self.steps.values())

    @property
    def running(self) -> list[str]:
        """The packages that are being built, those that began first in front."""
        found = [(step.since, id) for id, step in self.steps.items() if step.state == "running"]
        return [id for _, id in sorted(found)]

    def _planned(self, event: Mapping[str, Any], now: float) -> str:
        self.steps = {str(id): self.steps.get(id, Step()) for id in event["packages"]}
        edges = event.get("edges", {})
        self.needs = {str(id): list(map(str, others)) for id, others in edges.items()}
        self.needed_by = {}
        for id, others in self.needs.items():
            for other in others:
                self.needed_by.setdefault(other, []).append(id)
        expected = event.get("expected", {})
        self.expected = {str(id): float(seconds) for id, seconds in expected.items()}
        return counted(len(self.steps), "package")

    def _started(self, event: Mapping[str, Any], now: float) -> str:
        step = self.steps.setdefault(str(event["package"]), Step())
        if step.state != "running":
            step.since = self._local(event, now)
        step.state, step.doing = "running", str(event.get("step", ""))
        return f"{step.doing} {short(str(event['package']))}" if step.doing == "build" else ""

    def _phase(self, event: Mapping[str, Any], now: float) -> None:
        if event.get("state") == "start":
            self.steps[event["package"]].doing = str(event["phase"])

    def _done(self, event: Mapping[str, Any], now: float) -> str:
        step = self.steps.setdefault(str(event["package"]), Step())
        step.state, step.reason = str(event["how"]), str(event.get("reason") or "")
        step.lines = tuple(map(str, event.get("lines") or ()))
        step.log = str(event.get("log") or "")
        name = short(str(event["package"]))
        return {
            "built": f"{name} built in {clock(float(event.get('seconds', 0)))}",
            "failed": f"{name} failed: {step.reason}",
            "skipped": f"{name} skipped",
        }.get(step.state, "")

    def _stage(self, event: Mapping[str, Any], now: float) -> None:
        self.stage = str(event["name"]) if event["state"] == "start" else ""

    def _note(self, event: Mapping[str, Any], now: float) -> str:
        return str(event["text"])

    def _end(self, event: Mapping[str, Any], now: float) -> None:
        self.result = event

    def _local(self, event: Mapping[str, Any], now: float) -> float:
        return float(event["time"]) + self.skew if "time" in event else now
