"""The descriptions of targets, while many change at once."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
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
from cloche.service.database import Database
from cloche.service.descriptions import Descriptions
from cloche.service.settings import State
from cloche.service.values import Role
from cloche.targets.description import digest, encode_description


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a seed."""
    with served(server_of(written_project(tmp_path_factory.mktemp("descriptions")))) as running:
        yield running


def patched(server: Server, target: dict[str, Any], *world: str) -> requests.Response:
    """Change the world of a target."""
    path = f"/api/v1/targets/{target['id']}/description"
    change = {"base": target["digest"], "fields": {"world": world}}
    return server.ask("PATCH", path, target["token"], json=change)


def test_targets_that_change_at_once_lose_nothing(server: Server) -> None:
    targets = [
        add_target(server, f"{number:012}", description=described(world=(f"a/p{number}",)))
        for number in range(20)
    ]
    with ThreadPoolExecutor(20) as threads:
        for turn in range(3):
            worlds = [("a/same",) if turn == 1 else (f"b/p{n}", f"c/t{turn}") for n in range(20)]
            answers = list(threads.map(lambda t, w: patched(server, t, *w), targets, worlds))
            assert [each.status_code for each in answers] == [200] * 20, [
                each.text for each in answers if not each.ok
            ]
            for target, answer in zip(targets, answers, strict=True):
                target["digest"] = answer.json()["digest"]
                assert server.state.description(target["digest"]).is_file()
    assert len(list(server.state.descriptions.iterdir())) == 20


def test_of_changes_of_one_state_one_is_taken(server: Server) -> None:
    target = add_target(server, "f" * 12, description=described(world=("a/one",)))
    with ThreadPoolExecutor(20) as threads:
        changes = (threads.submit(patched, server, target, f"a/x{n}") for n in range(20))
        answers = [each.result() for each in list(changes)]
    statuses = [each.status_code for each in answers]
    assert statuses.count(200) == 1
    assert set(statuses) <= {200, 409, 429}, "two of a target are looked at, or wait"
    assert not any(str(server.place) in each.text for each in answers)


def test_a_description_that_comes_while_a_name_is_sent_is_kept(server: Server) -> None:
    target = add_target(server, "e" * 12, description=described(world=("a/old",)))
    taken = dict[str, Any]()

    def body() -> Iterator[bytes]:
        yield b'{"name": '
        time.sleep(0.3)  # the service waits for the rest
        taken.update(patched(server, target, "a/new").json())
        yield b'"laptop"}'

    path = f"/api/v1/targets/{target['id']}"
    changed = server.ask("PATCH", path, target["token"], data=body())
    assert (changed.status_code, changed.json()["name"]) == (200, "laptop")
    assert changed.json()["digest"] == taken["digest"] != target["digest"]


def test_who_may_not_change_a_target_any_more_does_not(server: Server) -> None:
    target = add_target(server, "d" * 12, description=described(world=("a/own",)))
    other = server.token(Role.REQUEST, target["id"])

    def revoke() -> None:
        with server.database() as database:
            database.revoke(token_named(server, other).id, 1.0)

    def remove() -> None:
        assert server.ask("DELETE", path, server.admin).status_code == 204

    def body() -> Iterator[bytes]:
        yield b'{"name": '
        time.sleep(0.3)
        act()
        yield b'"laptop"}'

    path = f"/api/v1/targets/{target['id']}"
    act = revoke
    assert server.ask("PATCH", path, other, data=body()).status_code == 401
    assert server.ask("GET", path, server.admin).json()["name"] == "a target"
    act = remove
    assert server.ask("PATCH", path, server.admin, data=body()).status_code == 404


@pytest.mark.parametrize("what", ["api", "page"])
def test_packages_are_for_the_target_as_it_is_when_the_request_is_whole(
    server: Server, what: str
) -> None:
    id = ("1" if what == "api" else "2") * 12
    target = add_target(server, id, description=described(world=(f"a/{what}",)))
    taken = dict[str, Any]()
    act: Callable[[], Any] = lambda: taken.update(patched(server, target, f"b/{what}").json())  # noqa: E731

    def asked() -> requests.Response:
        def body() -> Iterator[bytes]:
            yield b"app-misc" if what == "api" else b"atoms=app-misc"
            time.sleep(0.3)
            act()
            yield b"/x"

        if what == "api":
            path, headers = f"/api/v1/targets/{id}/wants", {"Content-Type": "text/plain"}
            return server.ask("POST", path, server.admin, data=body(), headers=headers)
        headers = {"Cookie": f"cloche_token={server.admin}"}
        return server.ask("POST", f"/targets/{id}/want", data=body(), headers=headers)

    assert asked().status_code == {"api": 202, "page": 303}[what]
    with server.database() as database:
        (build,) = database.builds(target=id)
    assert build.work.digest == taken["digest"] != target["digest"]
    act = lambda: server.ask("DELETE", f"/api/v1/targets/{id}", server.admin)  # noqa: E731
    assert asked().status_code == 404


def damaged(file: Path, how: str) -> None:
    data = file.read_bytes()
    changes = {
        "empty": b"",
        "cut off": data[: len(data) // 2],
        "of zeros": bytes(len(data)),
        "of zeros behind its header": data[:12] + bytes(len(data) - 12),
        "of another target": gzip.compress(encode_description(described(world=("a/other",)))),
        "no description": gzip.compress(b"{}"),
    }
    file.unlink()
    if how != "gone":
        file.write_bytes(changes[how])


@pytest.mark.parametrize(
    "how",
    ["gone", "empty", "cut off", "of zeros", "of zeros behind its header", "of another target",
     "no description"],
)  # fmt: skip
def test_a_damaged_description_is_mended_by_the_same_one(tmp_path: Path, how: str) -> None:
    state, description = State(tmp_path), described()
    state.make()
    descriptions, named = Descriptions(state, Database(state.database)), digest(description)

    async def run() -> None:
        await descriptions.write(description, named)
        damaged(state.description(named), how)
        if how != "of another target":
            with pytest.raises(ClocheError, match="refresh --whole"):
                await descriptions.read(named)
        await descriptions.write(description, named)
        assert await descriptions.read(named) == description
        before = state.description(named).stat()
        await descriptions.write(description, named)
        assert state.description(named).stat() == before, "a whole one is not written again"

    asyncio.run(run())


def test_a_client_hears_that_it_has_to_send_all(server: Server) -> None:
    target = add_target(server, "c" * 12, description=described(world=("a/damaged",)))
    damaged(server.state.description(target["digest"]), "of zeros behind its header")
    answer = patched(server, target, "a/new")
    assert (answer.status_code, "missing or damaged" in answer.json()["what"]) == (409, True)


def test_what_is_held_is_not_removed(tmp_path: Path) -> None:
    state, description = State(tmp_path), described()
    state.make()
    descriptions, named = Descriptions(state, Database(state.database)), digest(description)

    async def write() -> None:
        with descriptions.held(named):
            await asyncio.gather(*(descriptions.write(description, named) for _ in range(9)))
            descriptions.forget()
            assert await descriptions.read(named) == description
        assert [each.name for each in state.descriptions.iterdir()] == [f"{named}.json.gz"]
        descriptions.forget()
        with pytest.raises(ClocheError) as error:
            await descriptions.read(named)
        assert str(tmp_path) not in str(error.value)

    asyncio.run(write())
