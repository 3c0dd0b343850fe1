"""A worker's side: the function that Dask calls, and what it works with."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from cloche.broker.errors import data_of
from cloche.cluster.errands import Answer, Errand, encode
from cloche.cluster.errors import ClusterError, UnfitError
from cloche.cluster.facts import Facts, unfit
from cloche.cluster.peer import Handler, Peer, in_thread
from cloche.cluster.reporting import Reporter
from cloche.cluster.sharing import Sharing
from cloche.cluster.taking import Source
from cloche.errors import ClocheError
from cloche.records.events import Bus
from cloche.store import Outcome, make_key, remember
from cloche.tasks.guestcall import Running
from cloche.tasks.run import run
from cloche.tasks.task import MergeTask
from cloche.tasks.worker import Worker


@dataclass(frozen=True, slots=True)
class Host:
    """A worker's process: what carries out its tasks, and how it reaches others."""

    worker: Worker
    peer: Peer
    facts: Facts
    sharing: Sharing | None = None
    ending: bool = False


_LITTLE = 5.0  # seconds of patience with a worker, as the plan's host has everything
_hosts: list[Host] = []  # the one of this process
_reporters: dict[str, Reporter] = {}  # of the errands that run, by their attempts


def become(host: Host) -> None:
    """Let `carry_out` work with this."""
    _hosts[:] = [host]


def end_all(seconds: float) -> None:
    """Stop what runs, so that other workers do it; wait at most that long for its end."""
    _hosts[:] = [replace(each, ending=True) for each in _hosts]
    end = time.monotonic() + seconds
    for reporter in list(_reporters.values()):
        reporter.end()
    while _reporters and time.monotonic() < end:
        time.sleep(0.05)


def stopping() -> dict[str, Handler]:
    """The handler `cloche_stop`, which stops an attempt that is not wanted any more."""

    async def stop(attempt: str) -> bool:
        reporter = _reporters.get(attempt)
        if reporter is not None:
            await in_thread(reporter.end)
        return reporter is not None

    return {"cloche_stop": stop}


def carry_out(text: bytes) -> bytes:
    """Carry out an encoded `Errand`; return an encoded `Answer`. Dask calls it."""
    errand = msgspec.json.decode(text, type=Errand)
    if not _hosts:
        raise UnfitError("not a worker of cloche's", todo="start it by `cloche worker`")
    return encode(_carried_out(errand))


def _carried_out(errand: Errand) -> Answer:
    host = _hosts[0]
    running = Running()
    reporter = Reporter(host.peer, errand, host.facts.name, running.stop)
    _reporters[errand.attempt] = reporter
    answer = Answer(host.facts.name, host.facts.peer)
    try:
        if host.ending:
            raise ClusterError("the worker is ending")
        if why := unfit(host.facts, errand.plan, errand.engine):
            raise UnfitError(f"refused by the worker {host.facts.name}: {why}")
        worker = replace(
            host.worker,
            bus=Bus(reporter),
            running=running,
            check=errand.check,
        )
        answer = _done(host, errand, worker, reporter, answer)
    except Exception as error:
        ending = ClusterError("the worker is ending")  # no fault of the package's
        data = data_of(ending if _hosts[0].ending else error)
        answer = msgspec.structs.replace(answer, error=data, log=_log_of(error, host))
    reporter.close(answer)
    _reporters.pop(errand.attempt)
    return answer


def _done(host: Host, errand: Errand, worker: Worker, reporter: Reporter, answer: Answer) -> Answer:
    """The answer of a task that is done now, or was done for the same token before."""
    brought = 0.0

    def make() -> Outcome:
        nonlocal brought
        began = time.monotonic()
        new = _bring(host, errand, lambda: reporter.unwanted)
        brought = time.monotonic() - began
        outcome = run(errand.task, worker)
        if host.sharing is not None:
            made = outcome.outputs.values() if isinstance(errand.task, MergeTask) else ()
            host.sharing.put((*new, *made))
        return outcome

    key = make_key("errand", {"token": errand.token})
    done = remember(worker.store, key, errand.task.package, make)
    action = done.action
    outcome = Outcome(action.outputs, action.log, action.seconds, action.data)
    return msgspec.structs.replace(
        answer, outcome=outcome, log=action.log, repeated=not done.made, brought=brought
    )


def _bring(host: Host, errand: Errand, stopped: Callable[[], bool]) -> tuple[str, ...]:
    """Take all that the task needs and the store lacks, from whoever has it.

    Returns the ids of trees that came from other hosts.
    """
    task, store = errand.task, host.worker.store

    home = Source(host.peer, errand.plan.peer, stopped)
    if host.sharing is not None:
        host.sharing.take(task.trees)
    lacking = tuple(id for id in task.trees if not store.has_tree(id))
    for address in _peers_with(lacking, errand.peers, host.facts.peer):
        try:
            Source(host.peer, address, stopped, _LITTLE).trees(lacking, store)
        except ClocheError:
            continue  # the plan's host has everything
        break
    home.trees(lacking, store)
    home.blobs(task.blobs, store)
    home.distfiles(task.sources, store)
    return lacking


def _peers_with(lacking: Sequence[str], peers: dict[str, tuple[str, ...]], own: str) -> list[str]:
    """A worker that has all of some layers, or none: the plan's host takes its turn, too."""
    if not lacking:
        return []
    having = set.intersection(*(set(peers.get(id, ())) for id in lacking)) - {own}
    chosen = random.choice([*sorted(having), ""])  # noqa: S311 - no secret
    return [chosen] if chosen else []


def _log_of(error: Exception, host: Host) -> str | None:
    log = getattr(error, "log", None)
    return str(Path(log).relative_to(host.worker.store.logs)) if log else None
