"""Which build is next, which one answers a request, which packages are tried."""

from __future__ import annotations

from typing import Any

import pytest

from cloche.errors import Exit
from cloche.service.decisions import answering, left_over, next_builds, rounds
from cloche.service.errors import ServiceError
from cloche.service.limits import Limiter, taken
from cloche.service.settings import Limits, limits_of
from cloche.service.values import Build, Candidate, Judged, Work
from cloche.targets.levels import Level

WORK = Work("d" * 64, Level.ABI, (), False)


def build(number: int, *targets: str, **more: Any) -> Build:
    """A build in the queue."""
    values: dict[str, Any] = {
        "id": f"{number:016}", "number": number, "work": WORK, "parts": (("a/b",),),
        "state": "queued", "repositories": "r", "attempts": 0, "asked": 1.0, "started": None,
        "ended": None, "seconds": 0.0, "error": None, "notes": (), "targets": targets or ("t",),
    }  # fmt: skip
    return Build(**{**values, **more})


def candidate(id: int, cpv: str, digest: str = "other") -> Candidate:
    """A package that may be offered."""
    return Candidate(id, id, cpv, "", b"{}", (), Level.ABI, digest)


def test_the_oldest_come_first_one_of_a_target_at_a_time() -> None:
    queued = [build(3, "b"), build(1, "a"), build(2, "a"), build(4, "c")]
    assert [each.number for each in next_builds(queued, [], 2)] == [1, 3]
    running = [build(9, "a", "b")]
    assert [each.number for each in next_builds(queued, running, 2)] == [4]
    assert next_builds(queued, running, 1) == []


def answer(builds: list[Build], *atoms: str, offered: tuple[int, ...] = ()) -> int | None:
    """The number of the build that answers a request; its build 1 made package 7."""
    found = answering(builds, "t", atoms, "r", offered, {builds[0].id: [7]})
    return None if found is None else found.number


def test_a_build_in_the_queue_takes_what_is_asked_for() -> None:
    assert answer([build(1)], "a/c") == 1


def test_targets_share_a_build_only_if_they_asked_for_the_same() -> None:
    for state in ("queued", "running", "done"):
        others = build(1, "other", state=state, parts=(("a/b", "a/c"),))
        assert answer([others], "a/b", "a/c", offered=(7,)) == 1
        assert answer([others], "a/b", offered=(7,)) is None
        assert answer([others], "a/d", offered=(7,)) is None


def test_a_running_build_answers_for_its_own_atoms() -> None:
    assert answer([build(1, state="running")], "a/b") == 1
    assert answer([build(1, state="running")], "a/c") is None


def test_a_build_that_ended_answers_until_something_changes() -> None:
    done = build(1, state="done", parts=(("a/b",), ("a/c",)))
    assert answer([done], "a/c", offered=(7,)) == 1
    assert answer([done], "a/c") is None  # what it made is not offered any more
    assert answer([build(1, state="done", repositories="old")], "a/b", offered=(7,)) is None
    assert answer([build(1, state="stopped")], "a/b", offered=(7,)) is None


def test_a_failure_answers_only_those_that_asked_for_the_same() -> None:
    failed = build(1, state="failed", parts=(("a/b", "a/x"), ("a/c",)))
    assert answer([failed], "a/c", offered=(7,)) == 1
    assert answer([failed], "a/x", "a/b", offered=(7,)) == 1
    assert answer([failed], "a/b", offered=(7,)) is None


def test_of_each_cpv_one_is_tried_and_then_another_one() -> None:
    all_of_them = [candidate(1, "a/b-1"), candidate(2, "a/b-1", "own"), candidate(3, "a/b-1")]
    all_of_them.append(candidate(4, "a/c-1"))
    assert {each.id for each in rounds(all_of_them, {"own"})} == {2, 4}
    assert {each.id for each in rounds(all_of_them, {"own"}, {1})} == {1, 4}
    judged = [Judged(2, False, "no"), Judged(4, True, "")]
    assert [each.id for each in left_over(all_of_them, judged)] == [1, 3]


def test_a_bucket_fills_again() -> None:
    bucket, wait = taken(None, 0.0, 2.0, 2.0)
    assert wait == 0.0
    bucket, wait = taken(bucket, 0.0, 2.0, 2.0)
    assert wait == 0.0
    bucket, wait = taken(bucket, 0.0, 2.0, 2.0)
    assert wait == 0.5
    assert taken(bucket, 0.5, 2.0, 2.0)[1] == 0.0


def test_clients_have_buckets_of_their_own() -> None:
    limiter = Limiter(1.0, 1.0)
    assert limiter.wait("a", 0.0) == 0.0
    assert limiter.wait("a", 0.0) > 0.0
    assert limiter.wait("b", 0.0) == 0.0


@pytest.mark.parametrize(
    "word", ["rate=0", "guesses=00", "nothing=1", "queue", "queue=-1", "rate=x"]
)
def test_a_limit_is_a_number_of_at_least_1(word: str) -> None:
    with pytest.raises(ServiceError) as caught:
        limits_of(["atoms=7", word])
    assert caught.value.status == Exit.BAD_INPUT
    assert limits_of(["atoms=7", "rate=1"]) == Limits(atoms=7, rate=1.0)
