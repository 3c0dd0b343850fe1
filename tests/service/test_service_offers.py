"""When it is proven anew what targets take."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest

from cloche.errors import ClocheError
from cloche.service import offers
from cloche.service.offers import Prover
from cloche.service.values import Candidate, Target
from cloche.targets.levels import Level

CANDIDATE = Candidate(7, 7, "a/b-1", "", b"{}", (), Level.ABI, "d")


def test_what_verdicts_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> set[str]:
        return {
            offers._seen(candidates, repositories)
            for candidates in ((), (CANDIDATE,))
            for repositories in ("one", "two")
        }

    before = seen()
    assert len(before) == 4
    assert {each.partition(":")[0] for each in before} == {"0", "7"}
    monkeypatch.setattr(offers, "code_digest", lambda: "another")
    assert before.isdisjoint(seen())


@dataclass
class Failing:
    """A service of which the database fails so many times, and counts how often it was asked."""

    failures: int
    asked: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def database(self) -> Failing:
        """Itself."""
        return self

    def note_fault(self, digest: str, level: Level, what: str) -> None:
        """Note a failure."""
        self.faults.append(what)

    def forget_fault(self, digest: str, level: Level) -> None:
        """Note a success."""
        self.faults.clear()

    def targets(self) -> Iterator[Any]:
        """Fail, or have none."""
        self.asked.append(asyncio.get_running_loop().time())
        if len(self.asked) <= self.failures:
            raise ClocheError("it did not work")
        return iter(())


def test_a_proof_that_fails_is_made_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "_PAUSE", 0.02)

    async def run() -> list[float]:
        service = Failing(3)
        prover = Prover(service)  # type: ignore[arg-type]
        prover.later("d", Level.ABI)
        while len(service.asked) < 4:
            assert service.faults == ["it did not work"] * len(service.asked)
            await prover.step()
        assert service.faults == []
        assert prover.waiting == 0
        return service.asked

    asked = asyncio.run(run())
    pauses = [after - before for before, after in pairwise(asked)]
    assert [pause >= 0.02 * 2**n for n, pause in enumerate(pauses)] == [True] * 3


def test_who_waits_for_a_proof_hears_that_the_service_ends() -> None:
    async def run() -> None:
        prover = Prover(Failing(0))  # type: ignore[arg-type]
        waiting = asyncio.create_task(prover.now("d", Level.ABI))
        await asyncio.sleep(0)
        prover.close()
        for each in (waiting, prover.now("d", Level.ABI)):
            with pytest.raises(ClocheError, match="ends"):
                await each

    asyncio.run(run())


@dataclass
class Proving:
    """A service with targets, of which each proof is counted, and that is busy or not."""

    is_busy: bool = True
    proven: list[str] = field(default_factory=list)

    @property
    def database(self) -> Proving:
        """Itself."""
        return self

    @property
    def dispatcher(self) -> Proving:
        """Itself."""
        return self

    def targets(self) -> list[Target]:
        """Fifty, of which one has a build."""
        target = Target("t", "t", "", Level.ABI, None, "amd64", "x", "p", (), 1.0, 1.0)
        return [replace(target, id=str(number), digest=str(number)) for number in range(50)]

    def forget_fault(self, digest: str, level: Level) -> None:
        """None failed."""

    def levels(self, target: Target) -> list[Level]:
        """One each."""
        return [target.level]


def test_many_builds_in_a_row_need_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "_LOOK", 0.01)
    service = Proving()
    prover = Prover(service)  # type: ignore[arg-type]

    async def prove(digest: str, level: Level) -> None:
        service.proven.append(digest)

    prover._prove = prove  # type: ignore[method-assign]

    async def steps(count: int) -> list[str]:
        for _ in range(count):
            await prover.step()
        proven, service.proven = service.proven, []
        return proven

    async def run() -> None:
        for _ in range(10):
            prover.packages_came("7")
            assert await steps(3) == []
        prover.later("7", Level.ABI)
        assert await steps(2) == ["7"]
        service.is_busy = False
        assert await steps(2) == []  # there may be another one soon
        monkeypatch.setattr(offers, "_QUIET", 0.0)
        assert sorted(await steps(60 - 11)) == sorted(str(n) for n in range(50) if n != 7)
        service.is_busy = True
        monkeypatch.setattr(prover, "_patience", 0.0)
        prover.packages_came("7")
        assert len(await steps(49)) == 49

    asyncio.run(run())
