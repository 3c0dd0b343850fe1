"""Proves what targets accept, in the background, and keeps their offers. For the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cloche.cluster.facts import code_digest
from cloche.errors import ClocheError
from cloche.service.advice import nameless
from cloche.service.decisions import left_over, rounds
from cloche.service.errors import ended
from cloche.service.values import Candidate, Judged, Target
from cloche.targets import calls
from cloche.targets.levels import Environment, Level
from cloche.targets.results import Offer

if TYPE_CHECKING:
    from cloche.service.core import Service

Key = tuple[str, Level]
_log = logging.getLogger("cloche.service")
_ROUNDS = 4  # with another candidate of the CPVs that were refused
_PAUSE = 30.0  # seconds before what failed is tried again; doubled each time
_LONGEST_PAUSE = 3600.0
_PATIENCE = 60.0  # seconds for which new packages wait for the end of all builds
_PART = 4  # while there are builds, the next round waits for so many times what the last one took
_QUIET = 3.0  # seconds without builds after which they are over
_LOOK = 1.0  # seconds between two looks whether a round may begin


class Prover:
    """Which packages each target takes. One proof runs at a time; those that wait come first.

    After each build there may be more for every target. That is proven for all of them in a round,
    when nothing is built any more or some time has passed: many builds in a row need one round.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._urgent: dict[Key, list[asyncio.Future[None]]] = {}
        self._later: dict[Key, None] = {}
        self._round: dict[Key, None] = {}  # the next one
        self._due = 0.0  # when it begins at the latest
        self._patience = _PATIENCE
        self._busy = 0.0  # when there was a build last
        self._left: set[Key] = set()  # of the one that began last
        self._began = 0.0
        self._wake = asyncio.Event()
        self._failures: dict[Key, int] = {}
        self._closed = False

    async def now(self, digest: str, level: Level) -> None:
        """Prove what a description accepts at a level, and wait for it. Raises ClocheError."""
        if self._closed:
            raise ended()
        future = asyncio.get_running_loop().create_future()
        self._urgent.setdefault((digest, level), []).append(future)
        self._wake.set()
        await future

    def later(self, digest: str, level: Level) -> None:
        """Prove it when there is time."""
        self._later[digest, level] = None
        self._wake.set()

    def later_of(self, target: Target) -> None:
        """Prove what a target accepts, at each level that it asked for, when there is time."""
        for level in self._service.database.levels(target):
            self.later(target.digest, level)

    def later_all(self) -> None:
        """Prove what all targets accept when there is time."""
        for target in self._service.database.targets():
            self.later_of(target)

    def packages_came(self, digest: str) -> None:
        """Let the next round be made: what was built for a description may be for others, too."""
        self._busy = time.monotonic()
        if not self._round:
            self._due = self._busy + self._patience
        for target in self._service.database.targets():
            if target.digest != digest:
                levels = self._service.database.levels(target)
                self._round.update(dict.fromkeys((target.digest, level) for level in levels))
        self._wake.set()

    def _begin_round(self) -> None:
        """Begin the next round if it is time."""
        if not self._round:
            return
        now = time.monotonic()
        if self._service.dispatcher.is_busy:
            self._busy = now
        if now >= self._due or now - self._busy >= _QUIET:
            self._later.update(self._round)
            self._left, self._began = set(self._round), now
            self._round.clear()

    def _proven(self, key: Key) -> None:
        """Note that a proof is made, which may be the last one of a round."""
        self._left.discard(key)
        if not self._left and self._began:
            self._patience = max(_PATIENCE, _PART * (time.monotonic() - self._began))
            self._began = 0.0

    @property
    def waiting(self) -> int:
        """How many proofs are to be made."""
        return len(self._later.keys() | self._urgent.keys() | self._round.keys())

    async def step(self) -> None:
        """Make one proof, when there is one to make."""
        if not self._urgent and not self._later:
            self._begin_round()
        if not self._urgent and not self._later:
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK if self._round else None):
                    await self._wake.wait()
            return
        key = next(iter(self._urgent or self._later))
        waiting = self._urgent.pop(key, [])
        self._later.pop(key, None)
        try:
            await self._prove(*key)
            self._service.database.forget_fault(*key)
        except asyncio.CancelledError:
            _answer(waiting, ended())
            raise
        except Exception as error:
            self._failed(key, waiting, error)
        else:
            self._proven(key)
            self._failures.pop(key, None)
            _answer(waiting)

    def close(self) -> None:
        """Let those go who wait for a proof: no further one is made."""
        self._closed = True
        for waiting in self._urgent.values():
            _answer(waiting, ended())

    def _failed(self, key: Key, waiting: Sequence[asyncio.Future[None]], error: Exception) -> None:
        self._proven(key)
        if not isinstance(error, ClocheError):
            _log.exception("offers")
            error = ClocheError(f"a bug in cloche: {type(error).__name__}: {error}")
        _log.warning("offers", extra={"digest": key[0], "at": key[1], "error": str(error)})
        _answer(waiting, error)
        with contextlib.suppress(sqlite3.Error):  # the pause is what matters
            self._service.database.note_fault(*key, error.what)
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        pause = min(_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE)
        asyncio.get_running_loop().call_later(pause, self.later, *key)

    async def _prove(self, digest: str, level: Level) -> None:
        """Prove what a description accepts, unless nothing came since the last time."""
        service, began = self._service, time.monotonic()
        target = next((t for t in service.database.targets() if t.digest == digest), None)
        if target is None:
            return
        candidates = service.database.candidates(target.arch, target.chost)
        seen = _seen(candidates, service.repositories.state)
        if service.database.seen(digest, level) == seen:
            return
        try:
            judged = await self._judged(target, level, candidates)
        except ClocheError as error:
            raise nameless(error, target.id) from error  # others have this description, too
        changed = service.database.judge(digest, level, judged, seen)
        seconds = time.monotonic() - began
        service.metrics.proved(seconds)
        _log.info(
            "offers",
            extra={"digest": digest, "at": level, "changed": changed, "seconds": seconds},
        )

    async def _judged(
        self, target: Target, level: Level, candidates: Sequence[Candidate]
    ) -> list[Judged]:
        """Verdicts on candidates: of each CPV on one after the other, until one is accepted.

        Those that were accepted are shown to Portage again, as others may need them.
        """
        service = self._service
        description = await service.descriptions.read(target.digest)
        before = {j.candidate for j in service.database.judged(target.digest, level) if j.accepted}
        judged: dict[int, Judged] = {}
        for _ in range(_ROUNDS):
            batch = rounds(left_over(candidates, judged.values()), {target.digest}, before)
            if not batch:
                break
            taken = [c for c in candidates if c.id in judged and judged[c.id].accepted]
            offers = tuple(_offer(each) for each in (*taken, *batch))
            future = service.proofs.submit(
                calls.accept, service.place, target.id, description, offers, level
            )
            for each in await asyncio.wrap_future(future):
                judged[int(each.key)] = Judged(int(each.key), each.accepted, each.words)
        return list(judged.values())


def _answer(waiting: Sequence[asyncio.Future[None]], error: ClocheError | None = None) -> None:
    """Tell those who wait for a proof that it is made, or why not."""
    for future in waiting:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _seen(candidates: Sequence[Candidate], repositories: str) -> str:
    """What verdicts depend on besides the target: candidates, repositories and seeds, this code.

    It begins with the newest candidate.
    """
    ids = [each.id for each in candidates]
    text = " ".join((repositories, code_digest(), *map(str, ids)))
    return f"{max(ids, default=0)}:{hashlib.sha256(text.encode()).hexdigest()}"


def _offer(each: Candidate) -> Offer:
    environment = msgspec.json.decode(each.environment, type=Environment)
    return Offer(str(each.id), each.cpv, each.entry, environment, each.symbols)
