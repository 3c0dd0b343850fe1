"""The ready queue: packages in parallel along the graph, the longest remaining path first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What became of every package, by id."""

    done: dict[str, str] = field(default_factory=dict)  # id of the package → id of its layer
    failed: dict[str, BaseException] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def carry_out(
    waits_for: Mapping[str, frozenset[str]],
    urgency: Mapping[str, float],
    work: Callable[[str, Mapping[str, str]], str],
    *,
    executor: Executor,
    slots: int,
    keep_going: bool,
) -> Outcome:
    """Do ``work(package, layers done so far)`` for each package when all it waits for is done.

    At most ``slots`` at a time; of those that are ready the most urgent first. After a failure
    nothing new is started, or, with ``keep_going``, all that does not depend on what failed. An
    exception that is not an `Exception` (an interrupt) ends the queue at once.
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
    while running or (ready and (keep_going or not outcome.failed)):
        while ready and len(running) < slots and (keep_going or not outcome.failed):
            _, name = heapq.heappop(ready)
            running[executor.submit(work, name, dict(outcome.done))] = name
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            name = running.pop(future)
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
