"""The queue of builds: what runs, where, and what becomes of it. For the event loop's thread."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import secrets
import shutil
import sqlite3
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import to_builtins

from cloche.broker.errors import BrokerError, data_of
from cloche.broker.executor import Workers
from cloche.building.unresolved import ResolutionError
from cloche.errors import ClocheError
from cloche.records.logs import open_log
from cloche.service.advice import nameless
from cloche.service.decisions import answering, next_builds
from cloche.service.errors import beyond_quota, ended, stopped, unwanted
from cloche.service.events import END, NAME, Journal, logged
from cloche.service.publishing import Publisher
from cloche.service.values import ENDED, Build, BuildState, Outcome, Target, Token, Work
from cloche.service.views import BuildView, build_view
from cloche.service.wants import Asked
from cloche.targets import calls
from cloche.targets.description import Description
from cloche.targets.results import Built, Want

if TYPE_CHECKING:
    from cloche.service.core import Service

_log = logging.getLogger("cloche.service")
_LOOK = 10.0  # seconds after which the queue is looked at without being woken
_MOMENT = 0.1
_AGAIN = 0.5  # seconds between two attempts to end a build
_SOON = 5.0  # seconds in which a build that is stopped ends
_LONGEST_LOG = 64 << 20  # bytes that are kept of a log


@dataclass(slots=True)
class Running:
    """A build that runs, in its lane; ``stopping`` says why it has to end, if it has."""

    build: Build
    lane: Workers
    stopping: ClocheError | None = None
    task: asyncio.Task[None] | None = field(default=None)

    async def end(self) -> None:
        """End the build's processes until it has ended: a call may only be about to get one."""
        while self.task is not None and not self.task.done():
            await asyncio.to_thread(self.lane.kill_workers)
            await asyncio.wait((self.task,), timeout=_AGAIN)


class Dispatcher:
    """Starts builds, at most one of a target at a time, and records what they made."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lanes = [Workers(1) for _ in range(service.settings.builds)]
        self._running: dict[str, Running] = {}
        self._wake = asyncio.Event()
        self._publisher = Publisher(service.database, service.settings.state.pool, service.signer)
        self._lost: set[str] = set()  # builds of which it could not be noted how they ended

    # What is asked for

    def answer(self, target: Target, token: Token, asked: Asked) -> Build | None:
        """A build that answers a request; None: there has to be a new one."""
        database, work = self._service.database, work_of(target, token, asked)
        builds = database.builds_of(work)
        offered = database.offered_ids(work.digest, work.level)
        made = database.made_by([each.id for each in builds])
        state = self._service.repositories.state
        found = answering(builds, target.id, asked.atoms, state, offered, made)
        if found is not None and found.state == "queued" and self._is_full(found, asked):
            return None
        return found

    def _is_full(self, build: Build, asked: Asked) -> bool:
        """Whether a build in the queue has too many atoms to take those of a request."""
        if set(asked.atoms) <= set(build.atoms):
            return False
        most = self._service.settings.limits.atoms
        return sum(map(len, build.parts)) + len(asked.atoms) > most

    def ask(self, target: Target, token: Token, asked: Asked, known: Build | None) -> Build:
        """Let a known build answer a request, or put a new one into the queue."""
        database, work = self._service.database, work_of(target, token, asked)
        with database.transaction():
            build = known
            if build is None:
                id, state = secrets.token_hex(8), self._service.repositories.state
                build = database.add_build(id, work, asked.atoms, time.time(), state)
            elif build.state == "queued" and not set(asked.atoms) <= set(build.atoms):
                database.add_part(build, asked.atoms)
            if database.ask(build.id, target.id, token.id) and work.level is not target.level:
                database.raise_index(target.digest, work.level, time.time())  # it may be in there
        self.wake()
        return database.build(build.id)

    async def leave(self, target: Target) -> None:
        """Stop what is done for a target alone."""
        for build in self._service.database.builds(target=target.id, states=("queued", "running")):
            if build.targets == (target.id,):
                await self.stop(build)

    def repeat(self, build: Build, seen: Sequence[str], token: Token) -> Build:
        """Put a build that has ended back into the queue; return it.

        Where a token does not see all of its targets, those that are ``seen`` get one of their own.
        """
        database, state = self._service.database, self._service.settings.state
        whole, room = set(seen) == set(build.targets), state.build(build.id)
        with database.transaction():
            if whole:
                database.try_again(build.id)
                database.pay(build.id, token.id)
            else:
                id, first = secrets.token_hex(8), build.parts[0]
                new = database.add_build(id, build.work, first, time.time(), build.repositories)
                for part in build.parts[1:]:
                    database.add_part(new, part)
                    new = database.build(id)
                database.try_again(id)
                for target in seen:
                    database.ask(id, target, token.id)
                build = new
        if whole:  # nothing waits for the database meanwhile, and nothing starts the build
            shutil.rmtree(room, ignore_errors=True)
        self.wake()
        return database.build(build.id)

    async def stop(self, build: Build, reason: ClocheError | None = None) -> None:
        """Stop a build, in the queue or running."""
        running, reason = self._running.get(build.id), reason or stopped()
        if running is not None:
            running.stopping = running.stopping or reason
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SOON):
                    await running.end()
        elif self._service.database.build(build.id).state == "queued":
            self._ended(build, "stopped", reason, [])

    def wake(self) -> None:
        """Look at the queue."""
        self._wake.set()

    @property
    def running(self) -> list[Build]:
        """The builds that run, with all targets that asked for them by now."""
        return self._service.database.builds(ids=self._running) if self._running else []

    @property
    def is_busy(self) -> bool:
        """Whether builds run or wait."""
        return bool(self._running) or self._service.database.queued() > 0

    # The loop

    async def step(self) -> None:
        """Start what can be started, and wait until there may be more."""
        self._wake.clear()
        await self._service.repositories.look()
        database, attempts = self._service.database, self._service.settings.attempts
        while self._lost:
            database.requeue_running(attempts, next(iter(self._lost)))
            self._lost.pop()
        within, queued = await self._stop_unwanted()
        following = next_builds(queued, self.running, len(self._lanes))
        if following and not self._service.closing:
            for build in following:
                self._start(build)
            self.wake()  # how long each may run is looked at next
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._wake.wait()

    async def _stop_unwanted(self) -> tuple[float, list[Build]]:
        """Stop builds that nobody wants any more, or that nobody may have.

        Return when to look again, in seconds, and what is in the queue now.
        """
        within, database = _LOOK, self._service.database
        builds, unwanted_ones = database.builds(states=("queued", "running")), database.unwanted()
        seconds, stops = self._service.quotas.left_of(builds), 0
        for build in builds:
            running, left = self._running.get(build.id), seconds[build.id]
            if build.state == "running" and (running is None or running.stopping):
                continue
            if build.id in unwanted_ones:
                await self.stop(build, unwanted())
                stops += 1
            elif left is not None and left <= 0:
                await self.stop(build, beyond_quota())
                stops += 1
            elif left is not None and running is not None:
                within = min(within, left + _MOMENT)
        if stops:  # others were asked for meanwhile, or stopped
            return within, database.builds(states=("queued",))
        return within, [each for each in builds if each.state == "queued"]

    async def close(self) -> None:
        """End what runs; it goes back into the queue."""
        await asyncio.gather(*(each.end() for each in list(self._running.values())))
        for lane in self._lanes:
            await asyncio.to_thread(lane.shutdown)

    def _start(self, build: Build) -> None:
        busy = {id(each.lane) for each in self._running.values()}
        lane = next(each for each in self._lanes if id(each) not in busy)
        self._service.database.start(build.id, self._service.repositories.state, time.time())
        running = Running(self._service.database.build(build.id), lane)
        self._running[build.id] = running
        running.task = asyncio.create_task(self._carry_out(running))

    def _journal(self, build: Build) -> Journal:
        atoms = build.atoms
        machine = " ".join(atoms[:3]) + (f" and {len(atoms) - 3} more" if len(atoms) > 3 else "")
        room = self._service.settings.state.build(build.id)
        base = f"/api/v1/builds/{build.id}"
        hidden = name_of(build)
        return Journal(room, base, machine, self._service.hub.waker(build.id), hidden)

    async def _carry_out(self, running: Running) -> None:
        """Run a build to its end, whatever happens."""
        build = running.build
        try:
            try:
                await self._built(running, self._journal(build))
            except ClocheError as error:
                self._failed(running, nameless(error, name_of(build)))
            except Exception as error:
                _log.exception("build %s", build.id)
                self._failed(running, ClocheError.from_data(data_of(error)))
        except Exception:
            _log.exception("build %s", build.id)
            self._lost.add(build.id)
        finally:
            del self._running[build.id]
            self._charge(build)
            into = self._service.settings.state.build(build.id) / "into"
            await asyncio.to_thread(shutil.rmtree, into, True)
            self.wake()

    def _charge(self, build: Build) -> None:
        """Count how long a build ran, unless it has to run again because the service ends."""
        if self._service.closing:
            return
        try:
            self._service.quotas.charge(build)
        except sqlite3.Error:
            _log.exception("build %s", build.id)

    def _failed(self, running: Running, error: ClocheError) -> None:
        build, database = running.build, self._service.database
        if running.stopping is not None:
            self._ended(build, "stopped", running.stopping, [])
        elif self._service.closing:
            database.requeue(build.id)
        elif isinstance(error, BrokerError) and build.attempts < self._service.settings.attempts:
            _log.warning("trying again", extra={"build": build.id, "error": str(error)})
            with contextlib.suppress(OSError):
                self._journal(build).note(f"{error.what}; the build is tried again", "warning")
            database.requeue(build.id, again=True)
        else:
            self._ended(build, "failed", error, [])

    async def _built(self, running: Running, journal: Journal) -> None:
        service, build = self._service, running.build
        into = service.settings.state.build(build.id) / "into"
        await asyncio.to_thread(shutil.rmtree, into, True)
        into.mkdir(parents=True)
        description = await service.descriptions.read(build.work.digest)
        results, errors = await self._results(running, description, into, journal)
        made = [each for built in results for each in built.packages]
        refused = [each for built in results for each in built.refused]
        for package in made:
            await self._publisher.publish(build, description, package)
        for each in refused:
            words = "\n".join(each.reasons).replace(name_of(build), NAME)
            service.database.add_outcome(build.id, Outcome(each.cpv, "failed", words))
            if each.log is not None:
                await asyncio.to_thread(self._keep_log, build, journal, each.cpv, Path(each.log))
        await service.prover.now(build.work.digest, build.work.level)
        service.prover.packages_came(build.work.digest)
        notes = list(dict.fromkeys(note for built in results for note in built.notes))
        state: BuildState = "failed" if refused or errors else "done"
        self._ended(build, state, errors[0] if errors else None, notes)

    async def _results(
        self, running: Running, description: Description, into: Path, journal: Journal
    ) -> tuple[list[Built], list[ClocheError]]:
        """What came of all requests together; where Portage refuses that, of each alone."""
        build = running.build
        try:
            return [await self._call(running, description, build.atoms, into, journal)], []
        except ResolutionError as error:
            if len(build.parts) < 2:
                return [], [nameless(error, name_of(build))]
        journal.note("Portage refuses all of it together; each request is built alone", "warning")
        results, errors = list[Built](), list[ClocheError]()
        for part in build.parts:
            try:
                results.append(await self._call(running, description, part, into, journal))
            except ResolutionError as error:
                journal.note(error.what, "warning")
                errors.append(nameless(error, name_of(build)))
        return results, errors

    async def _call(
        self,
        running: Running,
        description: Description,
        atoms: Sequence[str],
        into: Path,
        journal: Journal,
    ) -> Built:
        work = running.build.work
        if running.stopping is not None:
            raise running.stopping
        if self._service.closing:
            raise ended()
        want = Want(tuple(atoms), work.level, work.options, work.inject, running.build.again)
        name, place = name_of(running.build), self._service.place
        future = running.lane.submit(calls.build, place, name, description, want, into, journal)
        return await asyncio.wrap_future(future)

    def _keep_log(self, build: Build, journal: Journal, cpv: str, log: Path) -> None:
        """Copy the log of a failure: the store compresses and removes its own."""
        room = self._service.settings.state.build(build.id) / "logs"
        room.mkdir(exist_ok=True)
        target = room / f"{cpv.replace('/', '@')}.log.gz"
        with contextlib.suppress(FileNotFoundError), open_log(log) as source:
            with gzip.open(target, "wb", 4) as copy:
                copy.write(source.read(_LONGEST_LOG))
            journal.note_log(cpv, target)

    def _ended(
        self, build: Build, state: BuildState, error: ClocheError | None, notes: list[str]
    ) -> None:
        """Note how a build ended, and tell those who follow it."""
        service, now = self._service, time.time()
        data = None if error is None else error.as_data()
        service.database.end(build.id, state, now, data, notes)
        service.hub.wake(build.id)
        service.metrics.ended(state, now - (build.started or now))
        _log.info("build ended", extra={"build": build.id, "state": state})

    def ending(self, id: str) -> bytes | None:
        """The last event of a build; None if it has not ended."""
        build = self._service.database.build(id)
        if build.state not in ENDED:
            return None
        view = to_builtins(self.view(build, ()))
        told = {name: view[name] for name in ("state", "packages", "refused", "error", "notes")}
        return msgspec.json.encode({"event": END, "time": build.ended, **told})

    def view(self, build: Build, seen: Collection[str]) -> BuildView:
        """A build as clients see it that may see the targets ``seen``."""
        database, outcomes = self._service.database, self._service.database.outcomes(build.id)
        room = self._service.settings.state.build(build.id)
        failed = any(each.package is None for each in outcomes)
        return build_view(
            build,
            outcomes,
            database.position(build),
            seen,
            database.verdicts(build),
            logged(room) if failed else (),
        )


def work_of(target: Target, token: Token, asked: Asked) -> Work:
    """What a request makes a build do."""
    return Work(target.digest, asked.level or target.level, asked.options, token.inject)


def name_of(build: Build) -> str:
    """The target by whose name a build runs; the others that share it must not learn that."""
    return min(build.targets, default=NAME)
