"""The routes of a server that builds nothing: who may what, bad requests, the index, files."""

from __future__ import annotations

import gzip
import json
import socket
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    token_named,
    written_project,
)
from tests.targets.described import described

from cloche.service.tokens import digest_of, new_token
from cloche.service.values import Role, Work
from cloche.targets.levels import Level

DATA = bytes(range(256)) * 8
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without a seed."""
    with served(server_of(written_project(tmp_path_factory.mktemp("routes")))) as running:
        yield running


@pytest.fixture(scope="module")
def target(server: Server) -> dict[str, Any]:
    """A target with a package that it takes, and one that it does not."""
    found = add_target(server, "abcdef" * 2)  # no part of a number, which measurements have
    add_package(server, found, "app-misc/tree-1", DATA)
    add_package(server, found, "app-misc/stone-1", offer=False)
    return found


@pytest.fixture(scope="module")
def other(server: Server) -> dict[str, Any]:
    """Another target, which has nothing."""
    return add_target(server, "1" * 12, digest="e" * 64)


def queued(server: Server, target: dict[str, Any], id: str) -> str:
    """A build of a target that failed."""
    with server.database() as database:
        database.add_build(id, Work(target["digest"], Level.ABI, (), False), ("a/b",), 1e9, "")
        database.ask(id, target["id"], "none")
        database.end(id, "failed", 1e9, {"what": "it did not work", "status": 1})
    return id


def test_without_a_valid_token_nothing_is_answered(server: Server) -> None:
    paths = server.ask("GET", "/api/v1/openapi.json").json()["paths"]
    asked = 0
    for path, operations in paths.items():
        for method, operation in operations.items():
            if operation.get("security") == []:
                continue
            way = path.replace("{", "").replace("}", "")
            answer = server.ask(method, way, json={})
            assert (answer.status_code, answer.json()["status"]) == (401, 401), way
            assert answer.headers["content-type"] == PROBLEM
            asked += 1
    assert asked > 12
    answer = server.ask("GET", "/api/v1/targets", "cloche_wrong")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("path", ["/health", "/metrics", "/client"])
def test_what_needs_no_token(server: Server, path: str) -> None:
    answer = server.ask("GET", path)
    assert answer.status_code == 200
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_client_is_the_file_of_this_version(server: Server) -> None:
    compile(server.ask("GET", "/client").content, "cloche_client.py", "exec")


def test_nothing_of_one_target_is_visible_to_another_one(
    server: Server, target: dict[str, Any], other: dict[str, Any]
) -> None:
    build = queued(server, target, "a" * 16)
    own = f"/api/v1/targets/{target['id']}"
    index = server.index(target)
    for path in (
        own,
        f"{own}/environments",
        f"{own}/wants?want=a/b",
        f"{target['binhost']}/Packages",
        f"{target['binhost']}/{index['app-misc/tree-1']['PATH']}",
        f"/api/v1/builds/{build}",
        f"/api/v1/builds/{build}/events",
        f"/api/v1/builds/{build}/log/a/b",
        f"/api/v1/builds?target={target['id']}",
        f"/api/v1/packages?target={target['id']}",
    ):
        assert server.ask("GET", path, other["token"]).status_code == 404, path
    for method, path in (
        ("DELETE", own),
        ("PUT", f"{own}/description"),
        ("PATCH", f"{own}/description"),
        ("POST", f"{own}/wants"),
        ("POST", f"/api/v1/builds/{build}/stop"),
        ("POST", f"/api/v1/builds/{build}/repeat"),
    ):
        assert server.ask(method, path, other["token"], json={}).status_code == 404, path
    for token, seen in ((other["token"], []), (target["token"], [build])):
        found = server.ask("GET", "/api/v1/builds", token).json()["builds"]
        assert [each["id"] for each in found] == seen
    ids = {
        each["id"] for each in server.ask("GET", "/api/v1/targets", server.admin).json()["targets"]
    }
    assert {target["id"], other["id"]} <= ids
    (seen_target,) = server.ask("GET", "/api/v1/targets", other["token"]).json()["targets"]
    assert seen_target["id"] == other["id"]
    assert server.ask("GET", "/api/v1/packages", other["token"]).json()["packages"] == []


def test_roles(server: Server, target: dict[str, Any]) -> None:
    reader = server.token(Role.READ, target["id"])
    assert server.ask("GET", f"{target['binhost']}/Packages", reader).status_code == 200
    wants = f"/api/v1/targets/{target['id']}/wants"
    assert server.ask("POST", wants, reader, json={"atoms": ["a/b"]}).status_code == 403
    assert server.ask("GET", f"{wants}?want=a/b", reader).status_code == 403
    assert server.ask("POST", "/api/v1/targets", reader, json={}).status_code == 403
    assert server.ask("POST", "/api/v1/targets", target["token"], json={}).status_code == 403


def test_a_revoked_token_is_refused_at_once_also_in_a_stream(
    server: Server, target: dict[str, Any]
) -> None:
    build = queued(server, target, "c" * 16)
    with server.database() as database:
        database.requeue(build)
        database.start(build, "", 1e9)
    (server.state.build(build)).mkdir(parents=True)
    token = server.token(Role.READ, target["id"])
    path = f"/api/v1/builds/{build}/events"
    with server.ask("GET", path, token, stream=True) as stream:
        lines = stream.iter_lines()
        assert next(lines) == b"retry: 2000"
        with server.database() as database:
            database.revoke(token_named(server, token).id, time.time())
        assert server.ask("GET", path, token).status_code == 401
        assert [line for line in lines if line.startswith(b"data")] == []
    with server.database() as database:
        database.end(build, "stopped", 1e9)


BODIES = {
    "no JSON": (b"{", {}, 400),
    "another kind": (b"[]", {}, 422),
    "unknown fields": (b'{"atoms": ["a/b"], "more": 1}', {}, 422),
    "no atoms": (b'{"atoms": []}', {}, 422),
    "no atom": (b'{"atoms": ["../etc"]}', {}, 422),
    "a wildcard": (b'{"atoms": ["*/*"]}', {}, 422),
    "an option": (b'{"atoms": ["a/b"], "options": ["--root=/"]}', {}, 422),
    "an atom as option": (b'{"atoms": ["--root=/"]}', {}, 422),
    "a level": (b'{"atoms": ["a/b"], "level": "9"}', {}, 422),
    "surrogates": (b'{"atoms": ["\\ud800"]}', {}, 400),
    "deep": (b'{"x":' * 100_000, {}, 422),
    "large": (b" " * (2 << 20), {}, 413),
    "no gzip": (b"x", {"Content-Encoding": "gzip"}, 400),
    "cut off": (gzip.compress(b"{}" * 99)[:-9], {"Content-Encoding": "gzip"}, 400),
    "trailing": (gzip.compress(b"{}") + b"x", {"Content-Encoding": "gzip"}, 400),
    "a bomb": (gzip.compress(bytes(64 << 20)), {"Content-Encoding": "gzip"}, 413),
    "another coding": (zlib.compress(b"{}"), {"Content-Encoding": "br"}, 415),
    "another media type": (b"{}", {"Content-Type": "image/png"}, 415),
    "text that is not UTF-8": (b"\xff\xfe", {"Content-Type": "text/plain"}, 400),
    "a bad line": (b"[wrong  ] a/b", {"Content-Type": "text/plain"}, 422),
}


@pytest.mark.parametrize(("body", "headers", "status"), BODIES.values(), ids=BODIES.keys())
def test_bad_bodies(
    server: Server, target: dict[str, Any], body: bytes, headers: dict[str, str], status: int
) -> None:
    path = f"/api/v1/targets/{target['id']}/wants"
    given = {"Content-Type": "application/json", **headers}
    answer = server.ask("POST", path, target["token"], data=body, headers=given)
    assert (answer.status_code, answer.json()["status"]) == (status, status), answer.text
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["what"]


def test_an_address_alone_asks_for_packages(server: Server, target: dict[str, Any]) -> None:
    """`curl -d ''` says of its nothing that it is a form."""
    path = f"/api/v1/targets/{target['id']}/wants?want=a/b"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    by_get = server.ask("GET", path, target["token"])
    by_post = server.ask("POST", path, target["token"], data=b"", headers=form)
    assert by_post.status_code == by_get.status_code < 300


def test_a_slow_client_holds_nobody_up(server: Server, target: dict[str, Any]) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(50)]
    head = f"POST /api/v1/targets/{target['id']}/wants HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
    for each in slow:
        each.sendall(f"{head}Authorization: Bearer {target['token']}\r\n\r\n{{".encode())
    began = time.monotonic()
    assert server.ask("GET", "/health").status_code == 200
    assert time.monotonic() - began < 15  # slow requests are given up after 20 s
    for each in slow:
        each.close()


def test_paths_that_lead_elsewhere_are_not_found(server: Server, target: dict[str, Any]) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    for path in (
        "../../../etc/passwd",
        "%2e%2e/%2e%2e/service.sqlite",
        "a/b/..%2f..%2fx",
        "a/b/%00",
    ):
        with socket.create_connection((host, int(port))) as connection:
            request = f"GET {target['binhost']}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            connection.sendall(f"{request}Authorization: Bearer {target['token']}\r\n\r\n".encode())
            assert b" 404 " in connection.makefile("rb").readline(), path


def test_unknown_paths_and_methods_are_problems(server: Server) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("PUT", "/api/v1/builds", 405)):
        answer = server.ask(method, path, server.admin)
        assert (answer.status_code, answer.json()["status"]) == (status, status)


def test_requests_from_other_sites_are_refused(server: Server, target: dict[str, Any]) -> None:
    path = f"/api/v1/targets/{target['id']}/wants?want=a/b"
    for method in ("GET", "POST"):
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}):
            answer = server.ask(method, path, target["token"], headers=headers)
            assert answer.status_code == 403


def test_the_index(server: Server, target: dict[str, Any]) -> None:
    index = server.index(target)
    assert index.keys() == {"", "app-misc/tree-1"}
    assert (index[""]["VERSION"], index[""]["PACKAGES"]) == ("0", "1")
    plain = server.ask("GET", f"{target['binhost']}/Packages", target["token"])
    packed = server.ask("GET", f"{target['binhost']}/Packages.gz", target["token"])
    assert gzip.decompress(packed.content) == plain.content
    assert (
        server.ask("GET", f"{target['binhost']}/Packages.asc", target["token"]).status_code == 404
    )
    for headers in (
        {"If-None-Match": plain.headers["etag"]},
        {"If-Modified-Since": plain.headers["last-modified"]},
    ):
        path = f"{target['binhost']}/Packages"
        again = server.ask("GET", path, target["token"], headers=headers)
        assert (again.status_code, again.content) == (304, b"")


def test_parts_of_a_package(server: Server, target: dict[str, Any]) -> None:
    path = f"{target['binhost']}/{server.index(target)['app-misc/tree-1']['PATH']}"
    whole = server.ask("GET", path, target["token"])
    assert (whole.status_code, whole.content) == (200, DATA)
    parts = {
        "bytes=0-9": (206, DATA[:10]), "bytes=2000-": (206, DATA[2000:]),
        "bytes=-5": (206, DATA[-5:]), "bytes=5-999999": (206, DATA[5:]),
        "bytes=9-5": (200, DATA), "bytes=0-1,4-5": (200, DATA), "lines=1-2": (200, DATA),
    }  # fmt: skip
    for asked, expected in parts.items():
        answer = server.ask("GET", path, target["token"], headers={"Range": asked})
        assert (answer.status_code, answer.content) == expected, asked
    beyond = server.ask("GET", path, target["token"], headers={"Range": "bytes=2048-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */2048")
    other = {"Range": "bytes=5-", "If-Range": '"another"'}
    assert server.ask("GET", path, target["token"], headers=other).status_code == 200
    same = {"Range": "bytes=5-", "If-Range": whole.headers["etag"]}
    assert server.ask("GET", path, target["token"], headers=same).status_code == 206
    head = server.ask("HEAD", path, target["token"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "2048", b"")
    for asked in ("bytes=0-9", "bytes=2048-"):  # RFC 9110, 14.2: only GET has ranges
        head = server.ask("HEAD", path, target["token"], headers={"Range": asked})
        assert (head.status_code, head.headers["content-length"]) == (200, "2048")
        assert "content-range" not in head.headers
    refused = path.replace("tree", "stone")
    assert server.ask("GET", refused, target["token"]).status_code == 404


def test_what_is_ready_needs_no_build(server: Server, target: dict[str, Any]) -> None:
    path = f"/api/v1/targets/{target['id']}/wants"
    data = {"atoms": ["app-misc/tree"], "packages": ["app-misc/tree-1"]}
    answer = server.ask("POST", path, target["token"], json=data)
    assert (answer.status_code, answer.json()["ready"], answer.json()["build"]) == (200, True, None)


def test_a_token_has_a_rate(server: Server, target: dict[str, Any]) -> None:
    token, path = server.token(Role.READ, target["id"]), f"/api/v1/targets/{target['id']}"
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        for _ in range(3000):
            answer = session.get(server.url + path, timeout=60)
            if answer.status_code != 200:
                break
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert server.ask("GET", path, target["token"]).status_code == 200


def test_a_quota_ends_builds_but_not_answers(server: Server, target: dict[str, Any]) -> None:
    token = server.token(Role.REQUEST, target["id"], quota=60)
    with server.database() as database:
        (id,) = (each.id for each in database.tokens() if each.quota == 60)
        database.charge([id], 61.0, time.time())
    path = f"/api/v1/targets/{target['id']}/wants"
    answer = server.ask("POST", path, token, json={"atoms": ["app-misc/wood"]})
    assert (answer.status_code, "quota" in answer.json()["what"]) == (429, True)
    data = {"atoms": ["app-misc/tree"], "packages": ["app-misc/tree-1"]}
    assert server.ask("POST", path, token, json=data).status_code == 200


def test_measurements(server: Server, target: dict[str, Any]) -> None:
    server.index(target)
    text = server.ask("GET", "/metrics").text
    assert 'cloche_requests_total{route="/t/{target_id}/Packages",status="200"}' in text
    assert "cloche_packages 2.0" in text
    assert target["id"] not in text


def test_the_log_is_json_without_secrets(server: Server, target: dict[str, Any]) -> None:
    server.index(target)
    lines = server.log.read_text().splitlines()[1:]
    found = [json.loads(line) for line in lines]
    assert any(each.get("path") == f"{target['binhost']}/Packages" for each in found)
    assert target["token"] not in server.log.read_text()


def test_an_administrators_token_for_one_target_sees_no_other(server: Server) -> None:
    """Such tokens are refused now, but may be in the database of an older service."""
    own, other = add_target(server, "d" * 12), add_target(server, "e" * 12)
    made, secret = new_token("x", Role.ADMIN)
    with server.database() as database:
        database.add_token(replace(made, target=own["id"]), digest_of(secret))
    seen = server.ask("GET", "/api/v1/targets", secret).json()["targets"]
    assert [each["id"] for each in seen] == [own["id"]]
    assert server.ask("DELETE", f"/api/v1/targets/{other['id']}", secret).status_code == 404


def test_what_a_description_is_refused_with_is_documented(server: Server) -> None:
    paths = server.ask("GET", "/api/v1/openapi.json").json()["paths"]
    for method in ("put", "patch"):
        assert "409" in paths["/api/v1/targets/{target_id}/description"][method]["responses"]


def test_a_target_gets_another_level_and_name(server: Server) -> None:
    own = add_target(server, "c" * 12, description=described(make_conf={"CFLAGS": "-O3"}))
    path = f"/api/v1/targets/{own['id']}"
    before = server.ask("GET", f"/t/{own['id']}/Packages", own["token"]).headers["last-modified"]
    wish = {"level": "2", "name": "laptop"}
    changed = server.ask("PATCH", path, own["token"], json=wish).json()
    assert (changed["level"], changed["name"]) == ("2", "laptop")
    seen = server.ask(
        "GET", f"/t/{own['id']}/Packages", own["token"], headers={"If-Modified-Since": before}
    )
    assert seen.status_code == 200, "another level is another index"
    for wrong in ({"level": "9"}, {"name": ""}, {"nothing": 1}):
        assert server.ask("PATCH", path, own["token"], json=wrong).status_code == 422
    reader = server.token(Role.READ, own["id"])
    assert server.ask("PATCH", path, reader, json=wish).status_code == 403
    stranger = server.token(Role.REQUEST)
    assert server.ask("PATCH", path, stranger, json=wish).status_code == 404


def test_an_index_is_unmodified_until_it_changes_also_after_a_restart(tmp_path: Path) -> None:
    server = server_of(written_project(tmp_path))
    own = add_target(server)
    add_package(server, own, "app-misc/one-1")
    path, tags = f"{own['binhost']}/Packages", dict[str, str]()

    def asked(**headers: str) -> int:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = server.ask("GET", path, own["token"], headers=names)
        tags.update(since=answer.headers["last-modified"], etag=answer.headers["etag"])
        return answer.status_code

    with served(server):
        assert asked() == 200
        known = tags["since"]
    with served(server):
        assert asked(if_modified_since=known) == 304
        assert asked(if_none_match=tags["etag"]) == 304
        for number in range(3):  # within a second; Portage adds 5 s to what it knows
            later = parsedate_to_datetime(tags["since"]).timestamp() + 5
            before = tags["etag"]
            add_package(server, own, f"app-misc/more-{number}")
            assert asked(if_modified_since=formatdate(later, usegmt=True)) == 200
            assert asked(if_none_match=before) == 200


def test_a_token_is_told_what_it_is_for(server: Server, target: dict[str, Any]) -> None:
    found = server.ask("GET", "/api/v1/token", target["token"]).json()
    assert (found["role"], found["target"]) == ("request", target["id"])
    assert target["token"] not in str(found)
    found = server.ask("GET", "/api/v1/token", server.admin).json()
    assert (found["role"], found["target"]) == ("admin", None)
    assert server.ask("GET", "/api/v1/token", "cloche_x").status_code == 401


def test_another_process_that_writes_for_long_holds_no_index_up(
    server: Server, target: dict[str, Any]
) -> None:
    """Portage gives up on an index after 10 s."""
    path = f"{target['binhost']}/Packages"
    token = server.token(Role.READ, target["id"])  # that it is used is not noted yet
    with closing(sqlite3.connect(server.state.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        assert server.ask("GET", path, token).status_code == 200
        assert time.monotonic() - began < 9
        want = {"atoms": ["app-misc/while-it-is-locked"]}
        wants = f"/api/v1/targets/{target['id']}/wants"
        refused = server.ask("POST", wants, target["token"], json=want)
        assert refused.status_code == 503
        assert "locked" in refused.json()["what"]
        other.execute("ROLLBACK")
    assert server.ask("POST", wants, target["token"], json=want).status_code == 202
