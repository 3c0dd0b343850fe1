"""What tokens may use, and what becomes of builds that nobody may have any more."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

import pytest
from tests.service.serving import (
    Server,
    add_target,
    served,
    server_of,
    token_named,
    written_project,
)
from tests.targets.described import described

from cloche.errors import ClocheError
from cloche.service import queue
from cloche.service.actions import repeat_build
from cloche.service.advice import nameless
from cloche.service.database import Database
from cloche.service.errors import ServiceError
from cloche.service.events import Journal, lines
from cloche.service.problems import ProblemError
from cloche.service.quotas import Quotas
from cloche.service.settings import Limits, State, limits_of
from cloche.service.tokens import digest_of, new_token
from cloche.service.values import Build, Payer, Role, Target, Token, Work
from cloche.targets.description import digest, encode_description
from cloche.targets.levels import Level

DIGEST = "d" * 64
WORK = Work(DIGEST, Level.ABI, (), False)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new database."""
    opened = Database(tmp_path / "db")
    yield opened
    opened.close()


def enrolled(database: Database, name: str, account: str, quota: int | None = 60) -> Token:
    """The token of a new target that an account enrolled."""
    target = Target(name, name, DIGEST, Level.ABI, None, "amd64", "x", "p", (), 1.0, 1.0)
    database.add_target(target)
    token, secret = new_token(name, Role.REQUEST, target=name, quota=quota, account=account)
    database.add_token(token, digest_of(secret))
    return token


def asked(database: Database, id: str, *tokens: Token) -> Build:
    """A build that the targets of some tokens asked for."""
    database.add_build(id, WORK, ("a/b",), time.time(), "")
    for token in tokens:
        database.ask(id, str(token.target), token.id)
    return database.build(id)


def test_targets_share_the_quota_of_the_token_that_enrolled_them(database: Database) -> None:
    one, two = (enrolled(database, name, "laptops") for name in ("one", "two"))
    other = enrolled(database, "other", "servers")
    running = list[Build]()
    quotas = Quotas(database, Limits(), lambda: running)
    database.start(asked(database, "b", one).id, "", time.time() - 40)
    quotas.charge(database.build("b"))
    assert [round(quotas.left(each.payer) or 0) for each in (one, two, other)] == [20, 20, 60]
    database.start(asked(database, "c", two, other).id, "", time.time() - 20)
    running.append(database.build("c"))
    assert [round(quotas.left(each.payer) or 0) for each in (one, two, other)] == [10, 10, 50]
    quotas.charge(database.build("b"))
    with pytest.raises(ProblemError, match="60 s of building"):
        quotas.demand_building(two)
    quotas.demand_building(other)


def test_a_build_has_the_time_of_those_who_asked_for_it(database: Database) -> None:
    one, two = (enrolled(database, name, name) for name in ("one", "two"))
    free = enrolled(database, "free", "free", quota=None)
    quotas = Quotas(database, Limits(), list)
    database.charge(["one"], 100.0, time.time())
    builds = [asked(database, "b", one), asked(database, "c", one, two)]
    builds += [asked(database, "d", one, free), asked(database, "e")]
    left = {build: seconds and round(seconds) for build, seconds in quotas.left_of(builds).items()}
    assert left == {"b": -40, "c": 120, "d": None, "e": None}
    assert database.payers("de") == {"d": [Payer("free", None), Payer("one", 60)], "e": []}
    assert database.unwanted() == {"e"}


def test_the_queue_and_targets_have_bounds(database: Database) -> None:
    one, two = (enrolled(database, name, "laptops", None) for name in ("one", "two"))
    other = enrolled(database, "other", "servers", None)
    quotas = Quotas(database, limits_of(["queue=3", "queued=2", "targets=2"]), list)
    for id, token in (("b", one), ("c", two)):
        quotas.demand_building(token)
        asked(database, id, token)
    for token in (one, two):
        with pytest.raises(ProblemError, match="2 builds of this token"):
            quotas.demand_building(token)
    asked(database, "d", other)
    with pytest.raises(ProblemError, match="3 builds in all"):
        quotas.demand_building(other)
    quotas.demand_target("servers")
    with pytest.raises(ProblemError, match="2 targets"):
        quotas.demand_target("laptops")


def service_of(database: Database, place: Path) -> Any:
    """As much of a service as its queue needs. Nothing starts."""

    async def look() -> None:
        """The repositories do not change."""

    made = SimpleNamespace(
        database=database,
        settings=SimpleNamespace(builds=2, attempts=3, state=State(place), limits=Limits()),
        signer=None,
        repositories=SimpleNamespace(look=look, state=""),
        closing=True,
        quotas=Quotas(database, Limits(), lambda: made.dispatcher.running),
    )
    made.settings.state.make()
    made.dispatcher = queue.Dispatcher(made)  # type: ignore[arg-type]
    return made


def test_a_build_is_repeated_without_its_old_files(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (enrolled(database, name, name) for name in ("one", "two"))
    service, build = service_of(database, tmp_path), asked(database, "b", one)
    state = service.settings.state
    state.description(DIGEST).touch()
    state.build("b").mkdir()
    database.end("b", "failed", 9.0, {"what": "it did not work"})
    build, remove = database.build("b"), shutil.rmtree

    def rmtree(path: Path, **more: Any) -> None:
        assert not database._connection.in_transaction, "others wait for the database"
        remove(path, **more)

    monkeypatch.setattr(shutil, "rmtree", rmtree)
    view = repeat_build(service, one, build)
    assert (view.state, view.error, view.ended) == ("queued", None, None)
    assert not state.build("b").exists()
    database.ask("b", "two", two.id)
    database.end("b", "failed", 9.0, {"what": "it did not work"})
    shared = database.build("b")
    assert repeat_build(service, one, shared).id != "b"
    database.remove_target("one")  # by another process, since the build was looked up
    with pytest.raises(ProblemError, match="no such target") as error:
        repeat_build(service, one, shared)
    assert error.value.document.status == 404
    assert len(database.builds()) == 2


def test_questions_to_the_database_do_not_grow_with_the_queue(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "_LOOK", 0.01)
    one, two = (enrolled(database, name, name) for name in ("one", "two"))
    dispatcher = service_of(database, tmp_path).dispatcher

    async def questions(builds: int) -> int:
        for _ in range(builds):
            asked(database, token_hex(8), one, two)
        found = list[str]()
        database._connection.set_trace_callback(found.append)
        await dispatcher.step()
        database._connection.set_trace_callback(None)
        return len(found)

    async def run() -> tuple[int, int]:
        return await questions(2), await questions(50)

    few, many = asyncio.run(run())
    assert few == many < 12
    assert database.queued() == 52


def test_a_new_token_takes_the_place_of_a_revoked_one(database: Database) -> None:
    old = enrolled(database, "one", "laptops")
    new, secret = new_token("one", Role.REQUEST, target="one", quota=90)
    database.add_token(new, digest_of(secret))
    build = asked(database, "b", old).id
    assert not database.ask(build, "one", new.id)
    assert database.payers([build]) == {build: [old.payer]}
    database.revoke(old.id, 1.0)
    assert database.unwanted() == {build}
    assert not database.ask(build, "one", new.id)
    assert database.unwanted() == set()
    assert database.payers([build]) == {build: [new.payer]}


@pytest.mark.parametrize("word", ["", "queue", "queue=", "queue=-1", "queue=x", "other=1"])
def test_what_does_not_set_a_limit(word: str) -> None:
    with pytest.raises(ServiceError, match="limit"):
        limits_of([word])


def test_for_which_target_a_shared_build_runs_is_not_shown(tmp_path: Path) -> None:
    name = "abcdef" * 2
    error = ClocheError("it failed", where=f"{name}/as-it-is", detail=f"log of {name}")
    assert name not in str(nameless(error, name).as_data())
    journal = Journal(tmp_path, "/b", "a/b", lambda: None, name)
    journal.note(f"{name}/3a: it failed")
    journal.note_log("a/b-1", tmp_path / name)
    assert json.loads(next(lines(tmp_path)).text)["text"] == "target/3a: it failed"
    assert name in (tmp_path / "logs.jsonl").read_text()


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """A server without a seed, where little is allowed; it is not started."""
    return server_of(written_project(tmp_path), "--limit", "queued=1", "--limit", "targets=2")


def state_of(server: Server, build: str) -> dict[str, Any]:
    """A build when it has ended."""
    return list(server.follow(f"/api/v1/builds/{build}/events", server.admin))[-1]


def test_builds_that_nobody_may_have_are_stopped(server: Server) -> None:
    target = add_target(server)
    revoked = token_named(server, server.token(Role.REQUEST, target["id"]))
    poor = token_named(server, server.token(Role.REQUEST, target["id"], quota=5))
    with server.database() as database:
        database.revoke(revoked.id, 1.0)
        database.charge([poor.id], 5.0, time.time())
        work = Work(target["digest"], Level.ABI, (), False)
        for id, token in (("a", revoked.id), ("b", poor.id), ("c", None), ("d", "x")):
            database.add_build(id * 16, work, ("a/b",), 1e9, "")
            if token is not None:
                database.ask(id * 16, target["id"], token)
    with served(server):
        found = [state_of(server, id * 16) for id in "abcd"]
    assert [each["state"] for each in found] == ["stopped", "stopped", "stopped", "failed"]
    assert "revoked" in found[0]["error"]["what"]
    assert "quota" in found[1]["error"]["what"]


def test_who_may_repeat_what(server: Server) -> None:
    one, two = (add_target(server, id * 12) for id in "12")
    ended = time.time()
    with server.database() as database:
        for id, inject in (("a", False), ("b", True)):
            work = Work(one["digest"], Level.ABI, (), inject)
            build = database.add_build(id * 16, work, ("a/b",), 1e9, "")
            database.add_part(build, ("a/c",))
            for each in (one, two):
                database.ask(id * 16, each["id"], "none")
            database.end(id * 16, "failed", ended, {"what": "it did not work"})
    with served(server):
        path = "/api/v1/builds/{}/repeat"
        assert server.ask("POST", path.format("b" * 16), one["token"]).status_code == 403
        answer = server.ask("POST", path.format("a" * 16), one["token"])
        assert answer.status_code == 202, answer.text
        own = answer.json()["id"]
        assert own != "a" * 16
        assert server.ask("GET", f"/api/v1/builds/{own}", two["token"]).status_code == 404
        assert answer.json()["atoms"] == ["a/b", "a/c"]
        old = server.ask("GET", f"/api/v1/builds/{'a' * 16}", two["token"]).json()
        assert (old["state"], old["ended"]) == ("failed", ended)
        assert state_of(server, own)["state"] == "failed"
        repeated = server.ask("POST", path.format("a" * 16), server.admin)
        assert (repeated.status_code, repeated.json()["id"]) == (202, "a" * 16)


def test_a_token_enrols_so_many_targets(server: Server) -> None:
    token = server.token(Role.REQUEST)
    made = token_named(server, token)
    with server.database() as database:
        for name in ("one", "two"):
            found = replace(enrolled(database, name, made.id), id=name)
            assert found.account == made.id
    data = {"description": json.loads(encode_description(described())), "name": "x"}
    with served(server):
        answer = server.ask("POST", "/api/v1/targets", token, json=data)
        assert (answer.status_code, answer.json()["title"]) == (429, "Too Many Requests")
        other = server.ask("POST", "/api/v1/targets", server.token(Role.REQUEST), json=data)
        assert other.status_code != 429


def test_a_token_has_so_many_builds_in_the_queue(server: Server) -> None:
    target = add_target(server, description=described(world=("a/x",)))
    assert digest(described()) != target["digest"]
    with served(server):
        path = f"/api/v1/targets/{target['id']}/wants"
        with server.database() as database:  # it waits as the target has another one
            work = Work(target["digest"], Level.FLAGS, (), False)
            for id in "ab":
                database.add_build(id * 16, work, ("a/b",), 1e9, "")
                database.ask(id * 16, target["id"], token_named(server, target["token"]).id)
            answer = server.ask("POST", path, target["token"], json={"atoms": ["a/y"]})
        assert (answer.status_code, "queue" in answer.json()["what"]) == (429, True)
