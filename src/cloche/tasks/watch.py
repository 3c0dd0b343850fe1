"""Watches a running step: time of each phase, disk space, messages of the guest."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from cloche.records import elog
from cloche.records.events import Elog, Note, Phase
from cloche.sandbox.base import Process
from cloche.tasks.errors import GuestError, StoppedError, no_room
from cloche.tasks.guestcall import Call, call
from cloche.tasks.task import Step
from cloche.tasks.worker import Worker

SHOWN = 5  # names of an image in one warning
LONGEST_NAME = 300  # characters of one
MOST_EVENTS = 64  # of phases, in one step; Portage has some twenty phases
_PHASE = re.compile(r"[a-z]{1,20}")


@dataclass(slots=True)
class Watch:
    """Watches a running step: time limit of a phase, disk space."""

    task: Step
    worker: Worker
    phase: str = "start"
    since: float = field(default_factory=time.monotonic)
    reason: str | None = None
    free: int | None = None
    events: set[tuple[str, str]] = field(default_factory=set)
    leftovers: bool = False  # whether they were reported already
    lost_told: bool = False

    def believes(self, message: dict[str, Any]) -> bool:
        """Whether this is a plausible event of a phase. An ebuild can write them, too, to reset its
        time limit, or to fill memory and display.
        """
        event = (message.get("phase"), message.get("state"))
        if message.get("event") != "phase" or event[1] not in ("start", "end"):
            return False
        if not isinstance(event[0], str) or not _PHASE.fullmatch(event[0]):
            return False
        if event in self.events or len(self.events) >= MOST_EVENTS:
            return False
        self.events.add((event[0], event[1]))
        return True

    def left_running(self, message: dict[str, Any]) -> str | None:
        """The commands that a message says were ended; once, as ebuilds can write it, too."""
        commands = message.get("commands")
        if message.get("event") != "leftovers" or self.leftovers or not isinstance(commands, list):
            return None
        self.leftovers = True
        return ", ".join(str(each)[:100] for each in commands[:5])

    def lost(self, message: dict[str, Any]) -> str | None:
        """The names of an image that a message says a merge does not keep; once, too."""
        names = message.get("names")
        if message.get("event") != "lost" or self.lost_told or not isinstance(names, list):
            return None
        self.lost_told = True
        return ", ".join(str(each)[:LONGEST_NAME] for each in names[:SHOWN])

    def entered(self, phase: str) -> None:
        """A phase began."""
        self.phase, self.since = phase, time.monotonic()

    def look(self, process: Process) -> None:
        """End the step when it is over a limit."""
        seconds = self.task.phase_seconds
        if time.monotonic() - self.since > seconds:
            self.reason = f"phase {self.phase} was stopped after {seconds:g} s"
            process.kill()
        free = self.worker.free_bytes
        if free < self.task.disk_reserve:
            self.free = free
            process.kill()


def watched(task: Step, worker: Worker, wanted: Call) -> dict[str, Any]:
    """Run the guest's script under watch; a step that is stopped has a failed result."""
    watch = Watch(task, worker)

    def on_event(message: dict[str, Any]) -> None:
        if left := watch.left_running(message):
            text = f"{task.cpv}: phase {watch.phase} left processes running, ended now: {left}"
            worker.bus(Note(text=text))
        if lost := watch.lost(message):
            text = f"{task.cpv}: Portage's merge does not keep {lost}"
            worker.bus(Note(text=text, level="warning"))
        if not watch.believes(message):
            return
        if message["state"] == "start":
            watch.entered(message["phase"])
        worker.bus(Phase(package=task.package, phase=message["phase"], state=message["state"]))

    try:
        result, ended = call(worker.engine, worker.running, wanted, on_event, watch.look)
    except GuestError as error:
        result, ended = {"status": "failed", "phase": watch.phase, "text": error.what}, None
    if messages := elog.messages_of(result):
        worker.bus(Elog(package=task.package, step=wanted.doing, messages=messages))
    if worker.running.stopped:
        raise StoppedError(task.package, wanted.doing)
    if watch.free is not None:
        raise no_room(
            task.package, wanted.doing, str(worker.store.path), watch.free, task.disk_reserve
        )
    result.setdefault("phase", watch.phase)
    if watch.reason:
        return {"status": "failed", "phase": watch.phase, "text": watch.reason}
    if ended is not None and ended.status != 0 and result.get("status") == "ok":
        return {"status": "failed", "phase": watch.phase, "text": f"exit status {ended.status}"}
    return result
