"""What goes to a worker and what comes back, as values."""

from __future__ import annotations

from typing import Any

import msgspec

from cloche.cluster.facts import Facts
from cloche.store import Outcome
from cloche.tasks.task import Task


class Errand(msgspec.Struct, frozen=True):
    """A task for a worker.

    ``token`` names the call: a worker does a token's task once, however often it is sent.
    ``attempt`` names this time it is sent. ``plan`` is the plan's host. ``peers`` are the addresses
    of workers that have some of the task's layers, by id.
    """

    task: Task
    token: str
    attempt: str
    plan: Facts
    engine: str | None = None
    check: str = "off"
    peers: dict[str, tuple[str, ...]] = {}


class Answer(msgspec.Struct, frozen=True):
    """The result of an errand: an outcome, or an error as data, with the log of either.

    ``peer`` is the address of the worker, at which its outputs are; ``repeated`` says that it had
    done the task before; ``brought`` are the seconds until the inputs were there.
    """

    worker: str
    peer: str
    outcome: Outcome | None = None
    error: dict[str, Any] | None = None
    log: str | None = None
    repeated: bool = False
    brought: float = 0.0


class Report(msgspec.Struct, frozen=True):
    """What a worker says while it does an errand, and at its end.

    ``events`` are JSON lines, of which the first has the number ``first``.
    """

    token: str
    attempt: str
    worker: str
    first: int
    events: tuple[str, ...] = ()
    answer: Answer | None = None


def encode(value: Errand | Answer | Report) -> bytes:
    """A value as JSON."""
    return msgspec.json.encode(value)
