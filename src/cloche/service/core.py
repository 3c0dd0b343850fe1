"""The service: its parts, its beginning and its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import ParamSpec, TypeVar

from starlette.requests import Request

from cloche.broker.executor import Workers
from cloche.config.project import Project
from cloche.fetching.signing import Signer
from cloche.service import files, retention
from cloche.service.database import Database
from cloche.service.descriptions import Descriptions
from cloche.service.errors import in_use
from cloche.service.events import Hub
from cloche.service.graph import Readings
from cloche.service.indexes import Indexes, public_key
from cloche.service.limits import Limiter
from cloche.service.loops import Loop
from cloche.service.metrics import Metrics
from cloche.service.offers import Prover
from cloche.service.queue import Dispatcher
from cloche.service.quotas import Quotas
from cloche.service.repositories import Repositories
from cloche.service.settings import Settings, State
from cloche.service.turns import Turns
from cloche.service.values import Package, Target
from cloche.targets import calls
from cloche.targets.description import Description
from cloche.targets.levels import Level
from cloche.tasks.slots import shared_slots

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger("cloche.service")
_HOUR = 3600.0
_MINUTE = 60.0
_NOTED = 3600.0  # seconds between two notes that a package is used
_ARRIVING = 4  # large bodies of four accounts
_ANSWERED = 2  # questions of two accounts: one is worked on, one decoded or stored


class Service:
    """All parts of the service, in one event loop."""

    def __init__(self, settings: Settings, project: Project, signer: Signer | None = None) -> None:
        self.settings, self.project, self.signer = settings, project, signer
        self.place = replace(settings.place, slots=settings.state.slots)
        limits = settings.limits
        self.limiter = Limiter(limits.rate, limits.burst)
        self.guesses = Limiter(limits.guesses / 60, limits.guesses)
        self.repositories = Repositories(project, lambda: self.prover.later_all())
        self.metrics = Metrics()
        self.public_key = public_key(settings.sign)
        self.streams = Counter[str]()  # of events, of each account
        self.readings = Readings()
        self.arrivals, self.turns = Turns(_ARRIVING), Turns(_ANSWERED)
        self.closing = False
        self.leaving: set[str] = set()  # targets that are being removed
        self._looked: dict[tuple[str, Level], float] = {}
        self.database: Database
        self.descriptions: Descriptions
        self.indexes: Indexes
        self.hub: Hub
        self.proofs: Workers
        self.questions: Workers  # of clients
        self.quotas: Quotas
        self.prover: Prover
        self.dispatcher: Dispatcher
        self.loops: tuple[Loop, ...] = ()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for a block. Raises ClocheError, OSError."""
        state = self.settings.state
        state.make()
        cores = len(os.sched_getaffinity(0))
        with _alone(state), shared_slots(state.slots, self.settings.jobs, cores):
            self.database = Database(state.database, alone=True)
            self.descriptions = Descriptions(state, self.database)
            self.indexes = Indexes(self.database, self.signer)
            self.hub = Hub(asyncio.get_running_loop())
            self.proofs, self.questions = Workers(1), Workers(1)
            self.prover, self.dispatcher = Prover(self), Dispatcher(self)
            limits = self.settings.limits
            self.quotas = Quotas(self.database, limits, lambda: self.dispatcher.running)
            self._recover()
            self.loops = (
                Loop("proofs", self.prover.step),
                Loop("the queue", self.dispatcher.step),
                Loop("removal of what is outdated", self._tidy),
            )
            tasks = [asyncio.create_task(each.run()) for each in self.loops]
            try:
                yield
            finally:
                self.end_streams()
                for task in tasks:
                    task.cancel()
                self.prover.close()
                self.proofs.kill_workers()
                self.questions.kill_workers()
                await asyncio.gather(*tasks, return_exceptions=True)
                await self.dispatcher.close()
                await asyncio.to_thread(self.proofs.shutdown)
                await asyncio.to_thread(self.questions.shutdown)
                self.database.close()

    def end_streams(self) -> None:
        """Let those who follow events go: the service ends."""
        self.closing = True
        self.hub.wake_all()

    def _recover(self) -> None:
        """Go on after a kill: what ran is in the queue again, and no half of anything is left."""
        database, state = self.database, self.settings.state
        database.requeue_running(self.settings.attempts)
        kept = []
        for package in database.packages():
            if files.size(state.pool / package.path) == package.size:
                kept.append(package.path)
            else:
                _log.warning("a package is missing or damaged", extra={"path": package.path})
                database.remove_package(package.id)
        files.remove_others(state.pool, kept)
        kept = [state.description(digest).name for digest in database.digests()]
        files.remove_others(state.descriptions, kept)
        self.prover.later_all()

    async def _tidy(self) -> None:
        """Remove what is outdated, and wait an hour."""
        found = retention.find(self.database, self.settings.retention)
        for remove_files in retention.removing(self.database, self.settings.state, found):
            await asyncio.to_thread(remove_files)
        if found.packages or found.builds:
            counts = {"packages": len(found.packages), "builds": len(found.builds)}
            _log.info("outdated", extra={**counts, "bytes": found.size})
        await asyncio.sleep(_HOUR)

    def look_after(self, target: Target) -> None:
        """Have proven what a target takes, if another process gave it its level."""
        key, now = (target.digest, target.level), time.monotonic()
        if not self.database.seen(*key) and now - self._looked.get(key, -_MINUTE) >= _MINUTE:
            self._looked = {key: at for key, at in self._looked.items() if now - at < _MINUTE}
            self._looked[key] = now
            self.prover.later_of(target)

    # Targets

    async def remove_target(self, target: Target) -> None:
        """Remove a target with its tokens, and stop what is built for it alone.

        Nothing new begins for it meanwhile. `Database.remove_target` alone, by another process,
        leads to the same: builds that nobody wants are stopped.
        """
        self.leaving.add(target.id)
        try:
            await self.dispatcher.leave(target)
            self.database.remove_target(target.id)
        finally:
            self.leaving.discard(target.id)
        self.descriptions.forget()
        self.database.forget_offers()

    # Questions

    async def examined(self, description: Description, *, inject: bool) -> tuple[str, ...]:
        """What of a target cannot be followed here. Raises ClocheError if nothing can be built."""
        found = await self.answer(calls.examine, self.place, description, inject=inject)
        return found.notes

    async def answer(self, fn: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """What a worker process says, one question after the other. Raises ClocheError."""
        future = await asyncio.to_thread(self.questions.submit, fn, *args, **named)
        return await asyncio.wrap_future(future)

    def note_use(self, package: Package) -> None:
        """Note that a package is fetched, at most once in a while."""
        now = time.time()
        if now - package.used > _NOTED:
            with contextlib.suppress(sqlite3.OperationalError):  # it is noted the next time
                self.database.touch_package(package.id, now)


def service_of(request: Request) -> Service:
    """The service that a request is for."""
    service: Service = request.app.state.service
    return service


@contextmanager
def _alone(state: State) -> Iterator[None]:
    """See that no other process serves from this state. Raises ServiceError."""
    with files.locked(state.lock) as held:
        if not held:
            raise in_use(state.path)
        yield
