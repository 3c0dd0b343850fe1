"""What is removed when it is old, or when there is too much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.service.test_service_decisions import WORK, build

from cloche.service.database import Database
from cloche.service.retention import Outdated, outdated, removing
from cloche.service.settings import Retention, State
from cloche.service.values import Package

DAY = 86400.0
NOW = 100 * DAY
PACKAGE = Package(
    1, "g", "a/b-1", "local", (), "a/b/b-1-1.gpkg.tar", 1, 10, "", "amd64", "x", None, 0.0, 0.0
)


def package(id: int, days: float, size: int = 10) -> Package:
    """A package that was used some days ago."""
    return replace(PACKAGE, id=id, used=NOW - days * DAY, size=size)


def removed(*packages: Package, needed: set[int] = frozenset(), **more: float) -> list[int]:  # type: ignore[assignment]
    """The ids of those that are removed."""
    retention = Retention(**{"days": 30.0, **more})  # type: ignore[arg-type]
    return [each.id for each in outdated(packages, needed, (), retention, NOW).packages]


def test_what_was_not_used_for_long_goes() -> None:
    assert removed(package(1, 31), package(2, 29)) == [1]


def test_what_a_target_is_offered_stays() -> None:
    assert removed(package(1, 400), package(2, 400), needed={1}, room=0) == [2]


def test_for_room_those_go_that_were_not_used_for_longest() -> None:
    packages = [package(1, 1), package(2, 5), package(3, 3), package(4, 9)]
    assert removed(*packages, room=20) == [4, 2]
    assert removed(*packages, room=20, needed={4}) == [2, 3]
    assert removed(*packages, room=40) == []


def test_builds_go_by_age_when_they_have_ended() -> None:
    old = build(1, state="failed", ended=NOW - 31 * DAY)
    new = build(2, state="done", ended=NOW - 29 * DAY)
    waiting = build(3)
    found = outdated((), (), (old, new, waiting), Retention(30.0), NOW)
    assert [each.number for each in found.builds] == [1]


def test_what_is_needed_or_repeated_by_now_stays_and_is_asked_for_once_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = State(tmp_path / "state")
    state.make()
    database = Database(state.database)
    packages = [
        replace(PACKAGE, id=n, gpkg=f"g{n}", cpv=f"a/b{n}-1", path=f"{n}") for n in range(1, 251)
    ]
    with database.transaction():
        assert [database.add_package(each) for each in packages] == list(range(1, 251))
    for each in packages:
        (state.pool / each.path).write_bytes(b"x")
    for id in ("a", "b"):
        database.add_build(id, WORK, ("a/b",), 1.0, "r")
        database.end(id, "failed", 2.0, None)
        (state.build(id) / "log").mkdir(parents=True)
    found = Outdated(tuple(packages), tuple(database.build(id) for id in ("a", "b")))
    asked, needed = [0], set[int]()

    def needed_packages(_: Database) -> set[int]:
        asked[0] += 1
        return set(needed)

    monkeypatch.setattr(Database, "needed_packages", needed_packages)
    for part, remove_files in enumerate(removing(database, state, found)):
        remove_files()
        if part == 0:
            needed.add(250)
            database.requeue("b")
    assert asked == [3]
    assert [each.id for each in database.packages()] == [250]
    assert [each.name for each in state.pool.iterdir()] == ["250"]
    assert [each.id for each in database.builds()] == ["b"]
    assert [each.name for each in state.builds.iterdir()] == ["b"]
    database.close()
