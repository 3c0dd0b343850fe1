"""The whole way: a target enrols, asks, real Portage builds, and the index has what fits."""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.service.serving import Server, served, server_of, token_named
from tests.support import Store, project
from tests.targets.described import PROJECT, described, entry

from cloche.service.values import Payer, Role
from cloche.targets.description import encode_description

pytestmark = pytest.mark.real
OLD = {"dev-libs/leaf-1.0": entry("0/1", iuse="veins")}
NEW = {"dev-libs/leaf-2.0": entry("0/2", iuse="veins")}

PATH = "/api/v1/targets"
FLAGS = {"USE": "fruit", "CFLAGS": "-O1"}


@pytest.fixture(scope="module")
def server(root_seeded: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service for the project of targets, with a store for these tests."""
    room = tmp_path_factory.mktemp("service")
    store = root_seeded.copy(room / "store")
    place = shutil.copytree(project(store, PROJECT), room / "project", symlinks=True)
    with served(server_of(place, store=store.path)) as running:
        yield running


@pytest.fixture(scope="module")
def target(server: Server) -> dict[str, Any]:
    """A target that has enrolled."""
    token = server.token(Role.REQUEST)
    return server.enrol(described(OLD, FLAGS), token)


def fetched(server: Server, target: dict[str, Any], path: str, **headers: str) -> requests.Response:
    """A file of a target's index, with HTTP Basic, as emerge asks for it."""
    auth = (target["id"], target["token"])
    url = f"{server.url}{target['binhost']}/{path}"
    return requests.get(url, auth=auth, headers=headers, timeout=60)


def test_what_is_asked_for_is_built_and_offered(server: Server, target: dict[str, Any]) -> None:
    assert server.index(target)[""]["PACKAGES"] == "0"
    built = server.build(target, "app-misc/tree")
    assert built["state"] == "done", built
    assert [(each["cpv"], each["accepted"]) for each in built["packages"]] == [
        ("app-misc/tree-1", True)
    ]
    index = server.index(target)
    tree = index["app-misc/tree-1"]
    assert tree["CLOCHE_LEVEL"] == "3a"
    assert int(index[""]["TIMESTAMP"]) >= time.time() - 60
    answer = fetched(server, target, tree["PATH"])
    assert (answer.status_code, str(len(answer.content))) == (200, tree["SIZE"])
    part = fetched(server, target, tree["PATH"], Range=f"bytes={len(answer.content) - 10}-")
    assert (part.status_code, part.content) == (206, answer.content[-10:])
    path = f"/api/v1/targets/{target['id']}/wants"
    data = {"atoms": ["app-misc/tree"], "packages": ["app-misc/tree-1"]}
    again = server.ask("POST", path, target["token"], json=data)
    assert (again.status_code, again.json()["build"]) == (200, None)


def test_no_more_targets_enrol_at_once_than_a_token_may(root_seeded: Store, tmp_path: Path) -> None:
    store = root_seeded.copy(tmp_path / "store")
    server = server_of(project(store, PROJECT), "--limit", "targets=2", store=store.path)
    token = server.token(Role.REQUEST)
    data = {"description": json.loads(encode_description(described())), "name": "one of four"}
    with served(server), ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(server.ask, "POST", PATH, token, json=data) for _ in range(4)]
        assert sorted(each.result().status_code for each in asked) == [201, 201, 429, 429]
    with server.database() as database:
        assert len(database.targets()) == 2


def test_a_package_goes_to_those_whom_it_fits(server: Server, target: dict[str, Any]) -> None:
    server.build(target, "app-misc/tree")
    token = server.token(Role.REQUEST)
    twin = server.enrol(described(OLD, FLAGS, world=("a/b",)), token)
    other = server.enrol(described(NEW, FLAGS), token)
    assert [len(proven(server, each)) for each in (twin, other)] == [2, 1]
    path = server.index(target)["app-misc/tree-1"]["PATH"]
    assert fetched(server, twin, path).status_code == 200
    assert fetched(server, other, path).status_code == 404
    assert server.ask("GET", f"{target['binhost']}/Packages", other["token"]).status_code == 404


def proven(server: Server, target: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The index of a target when it is proven what it takes."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen = server.ask("GET", f"/api/v1/targets/{target['id']}", target["token"]).json()
        if seen["proven"]:
            return server.index(target)
        time.sleep(0.1)
    raise AssertionError("nothing was proven")


def test_a_failure_is_an_answer_until_it_is_repeated(
    server: Server, target: dict[str, Any]
) -> None:
    built = server.build(target, "app-misc/broken")
    assert built["state"] == "failed"
    (refused,) = built["refused"]
    assert refused["cpv"] == "app-misc/broken-1"
    assert "no way" in refused["words"]
    log = server.ask("GET", refused["log"], target["token"])
    assert (log.status_code, "no way" in log.text) == (200, True)
    again = server.build(target, "app-misc/broken")
    assert (again["build"], again["state"]) == (built["build"], "failed")
    began = server.ask("GET", f"/api/v1/builds/{built['build']}", target["token"]).json()["started"]
    repeat = f"/api/v1/builds/{built['build']}/repeat"
    assert server.ask("POST", repeat, target["token"]).status_code == 202
    path = f"/api/v1/builds/{built['build']}"
    *_, end = server.follow(f"{path}/events", target["token"])
    assert end["state"] == "failed"
    assert server.ask("GET", path, target["token"]).json()["started"] > began


def test_a_package_that_failed_is_not_tried_again_with_more(
    server: Server, target: dict[str, Any]
) -> None:
    first = server.build(target, "app-misc/broken")
    more = server.build(target, "app-misc/broken", "app-misc/stone")
    assert more["build"] != first["build"]
    assert [each["cpv"] for each in more["packages"]] == ["app-misc/stone-1"]
    assert ([each["cpv"] for each in more["refused"]], more["refused"][0]["words"]) == (
        ["app-misc/broken-1"],
        first["refused"][0]["words"],
    )
    assert "no way" in server.ask("GET", more["refused"][0]["log"], target["token"]).text
    assert "app-misc/broken-1" not in started(server, target, more)
    repeat = f"/api/v1/builds/{more['build']}/repeat"
    assert server.ask("POST", repeat, target["token"]).status_code == 202
    assert "app-misc/broken-1" in started(server, target, more)


def started(server: Server, target: dict[str, Any], build: dict[str, Any]) -> set[str]:
    """The packages of which a step began in a build."""
    events = server.follow(build["events"], target["token"])
    return {e["package"].partition("::")[0] for e in events if e["event"] == "started"}


def test_what_nobody_has_is_portages_answer(server: Server, target: dict[str, Any]) -> None:
    built = server.build(target, "app-misc/nothing")
    assert built["state"] == "failed"
    assert "app-misc/nothing" in built["error"]["what"] + (built["error"]["detail"] or "")


def test_another_level_is_another_build_and_in_the_index(
    server: Server, target: dict[str, Any]
) -> None:
    built = server.build(target, "app-misc/wood", level="1")
    assert built["state"] == "done", built
    assert server.index(target)["app-misc/wood-1"]["CLOCHE_LEVEL"] == "1"


def test_a_change_travels_alone(server: Server) -> None:
    enrolled = server.enrol(described(OLD), server.token(Role.REQUEST))
    path = f"/api/v1/targets/{enrolled['id']}/description"
    change = {"base": enrolled["digest"], "entries": {"make_conf": {"USE": "moss"}}}
    answer = server.ask("PATCH", path, enrolled["token"], json=change)
    assert answer.status_code == 200, answer.text
    assert answer.json()["digest"] != enrolled["digest"]
    stale = server.ask("PATCH", path, enrolled["token"], json=change)
    assert stale.status_code == 409
    built = server.build(enrolled, "app-misc/stone")
    assert server.index(enrolled)["app-misc/stone-1"]["USE"].split() == ["moss"], built


@pytest.mark.parametrize("inject", [False, True])
def test_notes_know_whether_code_may_take_part(server: Server, inject: bool) -> None:
    coded = described(OLD, files={"bashrc": "true\n", "package.use/x": "a/b c\n"})
    enrolled = server.enrol(coded, server.token(Role.REQUEST, inject=inject))
    assert any("`inject`" in note for note in enrolled["notes"]) is not inject
    path = f"/api/v1/targets/{enrolled['id']}/description"
    change = {"base": enrolled["digest"], "entries": {"files": {"hooks/x": "true\n"}}}
    answer = server.ask("PATCH", path, enrolled["token"], json=change)
    assert answer.status_code == 200, answer.text
    assert any("hooks" in note for note in answer.json()["notes"]) is not inject


@pytest.mark.parametrize(("seconds", "quota"), [("7", 7), ("0", None)])
def test_who_enrols_without_a_token_shares_the_quota_of_its_address(
    root_seeded: Store, tmp_path: Path, seconds: str, quota: int | None
) -> None:
    store, words = root_seeded, ("--open-enrolment", "--open-quota", seconds)
    with served(server_of(project(store, PROJECT), *words, store=store.path)) as server:
        tokens = [server.enrol(described(), None)["token"] for _ in range(2)]
        payers = {token_named(server, each).payer for each in tokens}
        assert payers == {Payer("open 127.0.0.1", quota)}
        assert not token_named(server, tokens[0]).inject


def test_a_build_is_stopped_and_the_next_one_runs(server: Server) -> None:
    enrolled = server.enrol(described(NEW, {"CFLAGS": "-O3"}), server.token(Role.REQUEST))
    path = f"/api/v1/targets/{enrolled['id']}/wants"
    asked = server.ask("POST", path, enrolled["token"], json={"atoms": ["app-misc/tree"]}).json()
    stop = f"/api/v1/builds/{asked['build']}/stop"
    assert server.ask("POST", stop, enrolled["token"]).status_code == 200
    *_, end = server.follow(asked["events"], enrolled["token"])
    assert (end["event"], end["state"]) == ("end", "stopped")
    with server.database() as database:
        account = token_named(server, enrolled["token"]).payer.account
        assert database.charged(0)[account] > 0
    assert server.ask("POST", stop, enrolled["token"]).status_code == 409
    assert server.build(enrolled, "app-misc/tree")["state"] == "done"


def test_a_build_is_stopped_when_the_quota_is_used_up(server: Server) -> None:
    token = server.token(Role.REQUEST, quota=1)
    description = described(NEW, {"CFLAGS": "-O1 -g"})
    first = server.enrol(description, token)
    built = server.build(first, "app-misc/tree", "app-misc/stone")
    assert built["state"] == "stopped", built
    assert "quota" in built["error"]["what"]
    second = server.enrol(description, token)
    path = f"/api/v1/targets/{second['id']}/wants"
    answer = server.ask("POST", path, second["token"], json={"atoms": ["app-misc/tree"]})
    assert (answer.status_code, "quota" in answer.json()["what"]) == (429, True)


def test_a_target_that_is_removed_ends_its_build(server: Server) -> None:
    enrolled = server.enrol(described(NEW, {"CFLAGS": "-O2 -g"}), server.token(Role.REQUEST))
    path = f"/api/v1/targets/{enrolled['id']}"
    asked = server.ask(
        "POST", f"{path}/wants", enrolled["token"], json={"atoms": ["app-misc/tree"]}
    )
    time.sleep(0.5)
    account = token_named(server, enrolled["token"]).payer.account
    with ThreadPoolExecutor(5) as threads:
        removed = threads.submit(server.ask, "DELETE", path, enrolled["token"])
        others = [
            threads.submit(server.ask, "GET", f"{path}/wants?want=app-misc/axe", enrolled["token"])
            for _ in range(4)
        ]
        assert removed.result().status_code == 204
        assert {each.result().status_code for each in others} <= {202, 401, 404}
    build = server.ask("GET", f"/api/v1/builds/{asked.json()['build']}", server.admin).json()
    assert (build["state"], build["targets"]) == ("stopped", [])
    assert not server.state.description(enrolled["digest"]).exists()
    with server.database() as database:
        assert database.charged(0)[account] > 0
        assert [b.state for b in database.builds(states=("queued", "running"))] == []


def test_costs_of_levels(server: Server, target: dict[str, Any]) -> None:
    path = f"/api/v1/targets/{target['id']}/environments"
    found = server.ask("GET", path, target["token"]).json()
    assert "levels" in found, found
    assert [each["level"] for each in found["levels"]] == ["1", "2", "3a", "3b", "4"]
    assert found["default"] == "3a"
    assert found["reason"]


def test_a_kill_loses_nothing(root_seeded: Store, tmp_path: Path) -> None:
    place = project(root_seeded, PROJECT)
    server = server_of(place, store=root_seeded.copy(tmp_path / "store").path)
    with served(server):
        target = server.enrol(described(OLD), server.token(Role.REQUEST))
        path = f"/api/v1/targets/{target['id']}/wants"
        asked = server.ask("POST", path, target["token"], json={"atoms": ["app-misc/tree"]}).json()
        events = server.follow(asked["events"], target["token"])
        seen = [next(events) for _ in range(3)]
        server.stop(signal.SIGKILL)
        server.start()
        following = list(server.follow(asked["events"], target["token"], seen[-1]["id"]))
        assert following[-1]["state"] == "done"
        assert seen[-1]["id"] not in [each["id"] for each in following]
        assert "app-misc/tree-1" in server.index(target)
