"""The ready queue: runs packages in parallel, the longest remaining path first.

A slot is for a build. A built package gives its slot back and is merged beside other builds, as
emerge does: while a merge waits for the disk, no processor is idle.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Outcome:
    """The outcome of every package, by id."""

    done: dict[str, str] = field(default_factory=dict)  # id of the package → id of its layer
    failed: dict[str, BaseException] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


Work = Callable[[str, Mapping[str, str], Callable[[], None]], str]
"""Makes a package's layer and returns its id; takes the package's id, the layers done so far, and a
function that gives the slot back early."""


def carry_out(
    waits_for: Mapping[str, frozenset[str]],
    urgency: Mapping[str, float],
    work: Work,
    *,
    executor: Executor,
    slots: int,
    keep_going: bool,
) -> Outcome:
    """Run ``work`` for each package when all it waits for is done.

    At most ``slots`` run at a time, and as many again that have given theirs back; of the ready
    ones the most urgent first. After a failure nothing new is started, or, with ``keep_going``,
    only what does not depend on the failed package. An exception that is not an `Exception` (an
    interrupt) ends the queue at once.
    """
    outcome = Outcome()
    missing = {name: set(needed) for name, needed in waits_for.items()}
    dependents: dict[str, list[str]] = {name: [] for name in waits_for}
    for name, needed in waits_for.items():
        for other in needed:
            dependents[other].append(name)
    ready = [(-urgency[name], name) for name, needed in missing.items() if not needed]
    heapq.heapify(ready)
    running: dict[Future[str], str] = {}
    holding: dict[str, Future[None]] = {}  # of those that hold a slot: done when it is given back
    while running or (ready and (keep_going or not outcome.failed)):
        while (
            ready
            and _room(len(holding), len(running), slots)
            and (keep_going or not outcome.failed)
        ):
            _, name = heapq.heappop(ready)
            holding[name] = Future()
            task = executor.submit(work, name, dict(outcome.done), _leaving(holding[name]))
            running[task] = name
        waited: list[Future[Any]] = [*running, *holding.values()]
        finished, _ = wait(waited, return_when=FIRST_COMPLETED)
        holding = {name: slot for name, slot in holding.items() if slot not in finished}
        for future in [future for future in running if future in finished]:
            name = running.pop(future)
            holding.pop(name, None)
            error = future.exception()
            if error is not None:
                outcome.failed[name] = error
                continue
            outcome.done[name] = future.result()
            for other in dependents[name]:
                missing[other].discard(name)
                if not missing[other]:
                    heapq.heappush(ready, (-urgency[other], other))
    outcome.skipped = tuple(
        name for name in waits_for if name not in outcome.done and name not in outcome.failed
    )
    return outcome


def _room(holding: int, running: int, slots: int) -> bool:
    return holding < slots and running < at_once(slots)


def at_once(slots: int) -> int:
    """The greatest number of packages in progress, merges included."""
    return 2 * slots


def _leaving(slot: Future[None]) -> Callable[[], None]:
    return lambda: None if slot.done() else slot.set_result(None)
