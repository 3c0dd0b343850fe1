"""What the service remembers, also when it is killed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from cloche.service.database import Database
from cloche.service.errors import ServiceError
from cloche.service.sqlite import VERSION, is_older
from cloche.service.tokens import digest_of, new_token
from cloche.service.values import GIVEN_UP, Fault, Judged, Outcome, Package, Role, Target, Work
from cloche.targets.levels import Level

DIGEST = "d" * 64
WORK = Work(DIGEST, Level.ABI, ("--update",), False)
TARGET = Target("t", "name", DIGEST, Level.ABI, None, "amd64", "x", "p", ("note",), 100.0, 100.0)
PACKAGE = Package(
    0, "g", "a/b-1", "local", ("x",), "a/b/b-1-1.gpkg.tar", 1, 10, "CPV: a/b-1", "amd64", "x", None,
    1.0, 1.0,
)  # fmt: skip


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new database with a target."""
    opened = Database(tmp_path / "db")
    opened.add_target(TARGET)
    yield opened
    opened.close()


def offered(database: Database) -> list[str]:
    """What is offered to the target."""
    return [cpv for _, cpv, _, _ in database.offered(DIGEST, Level.ABI)]


def add(database: Database, package: Package = PACKAGE) -> int:
    """Add a package with one environment; return the id of the environment."""
    id = database.add_package(package)
    database.add_environment(id, b"{}", (), Level.ABI, DIGEST)
    return next(c.id for c in database.candidates() if c.package == id)


def test_values_come_back(database: Database) -> None:
    assert database.target("t") == TARGET
    build = database.add_build("b", WORK, ("a/b",), 5.0, "r")
    database.add_part(build, ("a/c", "a/b"))
    database.ask("b", "t", "token")
    found = database.build("b")
    assert (found.work, found.parts, found.targets) == (WORK, (("a/b",), ("a/c", "a/b")), ("t",))
    assert found.atoms == ("a/b", "a/c")
    add(database)
    assert database.package("g") == replace(PACKAGE, id=1)
    outcome = Outcome("a/b-1", "made", "", 1, True, 2.5)
    database.add_outcome("b", outcome)
    assert database.outcomes("b") == [outcome]


def test_tokens_are_found_by_their_secret_until_revoked(database: Database) -> None:
    token, secret = new_token("laptop", Role.REQUEST, target="t", quota=60)
    database.add_token(token, digest_of(secret))
    assert database.token(digest_of(secret)) == token
    assert database.token(digest_of(secret + "x")) is None
    assert secret.encode() not in Path(database.path).read_bytes()
    assert database.revoke(token.id, 9.0)
    assert not database.revoke(token.id, 9.0)
    assert database.token(digest_of(secret)) is None
    assert not database.is_valid(token.id)


def test_what_ran_is_in_the_queue_again_and_fails_after_too_many_attempts(
    database: Database,
) -> None:
    database.add_build("b", WORK, ("a/b",), 5.0, "r")
    for _ in range(2):
        database.start("b", "r", 6.0)
        database.requeue_running(2)
        state = database.build("b").state
    assert state == "failed"
    database.requeue("b")
    assert (database.build("b").state, database.build("b").attempts) == ("queued", 0)


WAYS: dict[str, Callable[[Database], None]] = {
    "repeated": lambda database: database.try_again("b"),
    "the service ends": lambda database: database.requeue("b"),
    "its process failed": lambda database: database.requeue("b", again=True),
    "the service was killed": lambda database: database.requeue_running(2),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_build_in_the_queue_tells_nothing_of_how_it_ended(
    database: Database, way: Callable[[Database], None]
) -> None:
    new = database.add_build("b", WORK, ("a/b",), 5.0, "r")
    add(database)
    database.start("b", "r", 6.0)
    made = Outcome("a/b-1", "made", "", 1)
    for each in (made, Outcome("a/c-1", "failed", "a phase failed")):
        database.add_outcome("b", each)
    database.end("b", "failed", 9.0, {"what": "it did not work"}, ["a note"])
    database._do("UPDATE builds SET state = 'running'")
    way(database)
    found = database.build("b")
    assert replace(found, attempts=0, again=False) == new
    assert database.outcomes("b") == [made], "indexes have it until the build starts"
    database.start("b", "r", 20.0)
    assert database.outcomes("b") == []
    database.end("b", "stopped", 21.0)
    assert database.build("b").seconds == 1.0


def test_the_stamp_of_an_index_rises_whenever_it_changes(database: Database) -> None:
    stamps = [database.stamp(DIGEST)]
    candidate = add(database)
    assert database.judge(DIGEST, Level.ABI, [Judged(candidate, True, "")], "1")
    stamps.append(database.stamp(DIGEST))
    assert not database.judge(DIGEST, Level.ABI, [Judged(candidate, True, "")], "2")
    assert database.stamp(DIGEST) == stamps[-1]
    assert database.judge(DIGEST, Level.ABI, [Judged(candidate, False, "no")], "3")
    stamps.append(database.stamp(DIGEST))
    assert database.describe_target(replace(TARGET, digest="e" * 64), DIGEST)
    stamps.append(database.stamp("e" * 64))
    assert database.describe_target(TARGET, "e" * 64)
    stamps.append(database.stamp(DIGEST))
    database.change_target("t", 5.0, level=Level.FLAGS)
    stamps.append(database.stamp(DIGEST))
    database.change_target("t", 6.0, name="another")
    assert database.stamp(DIGEST) == stamps[-1]
    portage = 5  # seconds that it adds to the stamp that it has (TIMESTAMP_TOLERANCE)
    assert all(later - earlier > portage for earlier, later in pairwise(stamps)), stamps


def test_a_target_keeps_what_a_change_is_not_about(database: Database) -> None:
    described = replace(TARGET, name="stale", level=Level.CLONE, digest="e" * 64, changed=5.0)
    after = replace(TARGET, digest="e" * 64, changed=5.0)
    assert database.describe_target(described, DIGEST) == after
    assert database.describe_target(described, DIGEST) is None
    after = replace(after, name="laptop", changed=6.0)
    assert database.change_target("t", 6.0, name=" laptop ") == after
    after = replace(after, level=Level.USE, changed=7.0)
    assert database.change_target("t", 7.0, level=Level.USE) == after == database.target("t")
    with pytest.raises(ServiceError, match="printable"):
        database.change_target("t", 8.0, name="\n", level=Level.ABI)
    assert database.target("t") == after
    database.remove_target("t")
    assert database.change_target("t", 9.0, name="x") is None
    assert database.describe_target(described, "e" * 64) is None


def test_the_index_has_what_was_asked_for_at_another_level(database: Database) -> None:
    candidate = add(database)
    database.judge(DIGEST, Level.USE, [Judged(candidate, True, "")], "1")
    assert database.index_of(TARGET) == []
    database.add_build("b", replace(WORK, level=Level.USE), ("a/b",), 5.0, "r")
    assert database.ask("b", "t", "token")
    assert not database.ask("b", "t", "token")
    assert database.index_of(TARGET) == []  # it was not made for this target
    database.add_outcome("b", Outcome("a/b-1", "made", "", 1, True, 2.5))
    assert database.index_of(TARGET) == [("CPV: a/b-1", "3a")]
    assert database.indexed(TARGET) == {1: "a/b-1"}
    assert database.levels(TARGET) == [Level.USE, Level.ABI]
    database.judge(DIGEST, Level.USE, [Judged(candidate, False, "no")], "2")
    assert database.index_of(TARGET) == []


def test_stamps_of_all_levels_rise_together(database: Database) -> None:
    candidate, before = add(database), database.stamp(DIGEST)
    for level in (Level.USE, Level.ABI, Level.USE):
        accepted = level is Level.ABI or before % 2 == 0
        database.judge(DIGEST, level, [Judged(candidate, accepted, "")], "1")
        database.judge(DIGEST, level, [Judged(candidate, not accepted, "")], "2")
        assert database.stamp(DIGEST) > before
        before = database.stamp(DIGEST)


def test_a_package_that_is_removed_is_offered_to_nobody(database: Database) -> None:
    candidate = add(database)
    database.judge(DIGEST, Level.ABI, [Judged(candidate, True, "")], "1")
    before = database.stamp(DIGEST)
    assert offered(database) == ["a/b-1"]
    database.remove_package(1)
    assert offered(database) == []
    assert database.stamp(DIGEST) > before


def test_a_package_is_needed_until_it_is_proven_that_it_is_not(database: Database) -> None:
    first = add(database)
    assert database.needed_packages() == {1}
    database.judge(DIGEST, Level.ABI, [Judged(first, False, "no")], f"{first}:x")
    assert database.needed_packages() == set()
    second = add(database, replace(PACKAGE, gpkg="h", path="a/b/b-1-2.gpkg.tar", number=2))
    add(database, replace(PACKAGE, gpkg="i", path="i", number=3, arch="riscv"))
    assert database.needed_packages() == {2}
    judged = [Judged(first, False, "no"), Judged(second, True, "")]
    database.judge(DIGEST, Level.ABI, judged, f"{second}:x")
    assert database.needed_packages() == {2}
    database.describe_target(replace(TARGET, digest="e" * 64), DIGEST)
    assert database.needed_packages() == {1, 2}
    database.judge("e" * 64, Level.ABI, [], f"{second}:x")
    assert database.needed_packages() == set()
    database.add_build("b", replace(WORK, digest="e" * 64, level=Level.USE), ("a/b",), 5.0, "r")
    database.raise_index("e" * 64, Level.USE, 0)
    assert database.needed_packages() == set()
    database.ask("b", "t", "token")
    assert database.needed_packages() == {1, 2}


def test_no_package_is_kept_for_a_proof_that_fails_again_and_again(database: Database) -> None:
    add(database)
    for failures in range(1, GIVEN_UP + 1):
        assert database.needed_packages() == {1}
        database.note_fault(DIGEST, Level.ABI, "why")
        assert database.faults() == [Fault("t", Level.ABI, failures, "why")]
    assert database.needed_packages() == set()
    other = replace(TARGET, id="u", digest="e" * 64)
    database.add_target(other)
    assert database.needed_packages() == {1}, "it may be for another one"
    database.remove_target("u")
    database.judge(DIGEST, Level.ABI, [Judged(1, True, "")], "1:x")
    assert database.needed_packages() == {1}, "it is offered, whatever a later proof does"
    database.forget_fault(DIGEST, Level.ABI)
    assert database.faults() == []
    database.note_fault("e" * 64, Level.ABI, "nobody has it")
    database.note_fault(DIGEST, Level.USE, "nobody asked for it")
    assert database.faults() == []
    database.add_build("b", replace(WORK, level=Level.USE), ("a/b",), 5.0, "r")
    database.ask("b", "t", "token")
    (fault,) = database.faults("t")
    assert (
        fault.words == "what it takes at level 1 could not be proven (1 time): nobody asked for it"
    )
    assert database.faults("u") == []


def test_what_is_said_of_the_packages_of_a_build(database: Database) -> None:
    first = add(database)
    second = add(database, replace(PACKAGE, gpkg="h", cpv="a/c-1", path="c", entry="c"))
    build = database.add_build("b", WORK, ("a/b",), 5.0, "r")
    for number, cpv in ((1, "a/b-1"), (2, "a/c-1")):
        database.add_outcome("b", Outcome(cpv, "made", "", number))
    database.add_outcome("b", Outcome("a/d-1", "failed"))
    assert database.made_by("bc") == {"b": {1, 2}, "c": set()}
    assert database.verdicts(build) == {}
    database.judge(DIGEST, Level.ABI, [Judged(first, True, ""), Judged(second, False, "no")], "2:")
    assert database.verdicts(build) == {1: None, 2: "no"}
    assert database.offered_ids(DIGEST, Level.ABI) == {1}
    database.add_environment(2, b"{1}", (), Level.ABI, DIGEST)
    third = max(each.id for each in database.candidates())
    database.judge(DIGEST, Level.ABI, [Judged(second, False, "no"), Judged(third, True, "")], "3:")
    assert database.verdicts(build) == {2: None}
    assert (database.pool(), database.pool([2, 7]), database.pool([])) == ((2, 20), (1, 10), (0, 0))
    assert database.packages() == [
        replace(PACKAGE, id=1, entry=""),
        replace(PACKAGE, id=2, gpkg="h", cpv="a/c-1", path="c", entry=""),
    ]


def test_the_position_counts_those_before(database: Database) -> None:
    builds = [database.add_build(id, WORK, ("a/b",), 5.0, "r") for id in "abc"]
    database.start("a", "r", 1.0)
    assert [database.position(database.build(each.id)) for each in builds] == [0, 0, 1]
    database.ask("b", "t", "token")
    assert database.build_ids(["t", "u"]) == {"b"}


def test_verdicts_are_kept_as_long_as_a_target_or_a_build_has_the_description(
    database: Database,
) -> None:
    candidate = add(database)
    for digest in (DIGEST, "e" * 64, "f" * 64):
        database.judge(digest, Level.ABI, [Judged(candidate, True, "")], "1")
    database.add_build("b", replace(WORK, digest="e" * 64), ("a/b",), 5.0, "r")
    database.forget_offers()
    assert [bool(database.judged(each * 64, Level.ABI)) for each in "def"] == [True, True, False]


def test_a_number_is_never_used_again(database: Database) -> None:
    assert [database.next_number("a/b-1") for _ in range(2)] == [1, 2]
    assert database.next_number("a/c-1") == 1


def test_a_removed_target_leaves_nothing(database: Database) -> None:
    token, secret = new_token("laptop", Role.REQUEST, target="t")
    database.add_token(token, digest_of(secret))
    database.judge(DIGEST, Level.ABI, [Judged(add(database), True, "")], "1")
    database.remove_target("t")
    database.forget_offers()
    assert database.token(digest_of(secret)) is None
    assert offered(database) == []
    assert database.stamp(DIGEST) == 0


def test_charges_are_shared_and_forgotten(database: Database) -> None:
    database.charge(["x", "y"], 60.0, 1e6)
    assert database.charged(0.0) == {"x": 30.0, "y": 30.0}
    assert database.charged(2e6) == {}
    database.charge(["x"], 1.0, 1e6 + 8 * 86400)
    assert database.charged(0.0) == {"x": 1.0}


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def twice() -> None:
        with database.transaction():
            for _ in range(2):
                database.add_build("b", WORK, ("a/b",), 5.0, "r")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    assert database.builds() == []


def test_another_format_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(ServiceError, match="99"):
        Database(tmp_path / "db")


def made_older(database: Database, version: int) -> None:
    """Let a database have an older format, as far as what was added since goes."""
    for since, table, column in (
        (2, "tokens", "account"), (3, "builds", "again"), (5, "indexes", "failures"),
        (5, "indexes", "fault"),
    ):  # fmt: skip
        if version < since:
            database._do(f"ALTER TABLE {table} DROP COLUMN {column}")
    database._do(f"PRAGMA user_version = {version}")


@pytest.mark.parametrize("version", range(1, VERSION))
def test_an_older_database_gets_what_it_lacks_from_who_is_alone(
    database: Database, version: int
) -> None:
    token, secret = new_token("laptop", Role.REQUEST)
    database.add_token(token, digest_of(secret))
    candidate = add(database)
    database.judge(DIGEST, Level.ABI, [Judged(candidate, True, "")], f"{candidate}:x")
    before = database.stamp(DIGEST)
    made_older(database, version)
    assert is_older(database.path)
    with pytest.raises(ServiceError, match=f"its format is {version}, .* start `cloche serve`"):
        Database(database.path)
    assert is_older(database.path)
    new = Database(database.path, alone=True)
    assert new.token(digest_of(secret)) == token
    assert new.target("t") == TARGET
    assert len(new.index_of(TARGET)) == (0 if version < 4 else 1)
    portage = 5  # seconds that it adds to the stamp that it has
    assert new.stamp(DIGEST) > before + portage, "clients have what was in there"
    assert new.seen(DIGEST, Level.ABI) == ""
    new.close()
    assert not is_older(database.path)
    Database(database.path).close()


def test_an_index_never_changes_without_its_stamp(database: Database) -> None:
    """Portage asks with the stamp that it has, plus 5 s, also after the service was restarted."""
    target = database.change_target("t", TARGET.changed, level=Level.CLOSURE)
    assert target == replace(TARGET, level=Level.CLOSURE)
    candidate = add(database)
    database.judge(DIGEST, Level.ABI, [Judged(candidate, True, "")], "seen")
    assert database.index_of(target) == [], "it is for those who ask at another level"
    database.add_build("b", WORK, ("a/b",), 5.0, "r")
    database.ask("b", "t", "token")
    before = database.stamp(DIGEST)
    for change, entries in (
        (lambda: database.add_outcome("b", Outcome("a/b-1", "made", "", 1)), 1),
        (lambda: database.start("b", "r", 5.0), 0),
        (lambda: database.add_outcome("b", Outcome("a/b-1", "made", "", 1)), 1),
        (lambda: database.remove_build("b"), 0),
    ):
        change()
        assert len(database.index_of(target)) == entries
        assert database.stamp(DIGEST) > before + 5
        before = database.stamp(DIGEST)
