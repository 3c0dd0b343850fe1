"""Pages that change targets and tokens."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
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
from tests.service.test_service_pages import check_page

from cloche.service.values import Payer, Role, Work
from cloche.targets.levels import Level


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that builds nothing."""
    with served(server_of(written_project(tmp_path_factory.mktemp("admin")))) as made:
        yield made


@pytest.fixture
def target(server: Server, request: pytest.FixtureRequest) -> dict[str, Any]:
    """A target of this test's own."""
    return add_target(server, f"{abs(hash(request.node.name)) % 16**12:012x}", name="laptop")


def browser(server: Server, token: str) -> requests.Session:
    """Somebody who is logged in."""
    session = requests.Session()
    session.post(f"{server.url}/login", data={"token": token})
    return session


@pytest.fixture
def admin(server: Server) -> requests.Session:
    """The administrator."""
    return browser(server, server.admin)


def works(server: Server, token: str) -> bool:
    return server.ask("GET", "/api/v1/targets", token).status_code == 200


def send(server: Server, session: requests.Session, data: dict[str, str]) -> requests.Response:
    """Fill in the form for a token, and send it."""
    found = re.findall(r'name="form" value="(.*?)"', session.get(f"{server.url}/tokens").text)
    return session.post(f"{server.url}/tokens", data={"form": found[0], **data})


def test_tokens_are_made_and_revoked(server: Server, admin: requests.Session) -> None:
    data = {"name": "laptops", "role": "request", "quota": "60", "inject": "on"}
    made = send(server, admin, data)
    check_page(made.text)
    (secret,) = re.findall(r'<code id="secret">(.*?)</code>', made.text)
    assert works(server, secret)
    listed = admin.get(f"{server.url}/tokens").text
    assert secret not in listed
    check_page(listed)
    (id,) = re.findall(r"laptops</a><small> (\w+)</small>", listed)
    asked = admin.get(f"{server.url}/tokens/{id}/revoke").text
    assert "Revoke the token laptops?" in asked
    assert "with-targets" not in asked
    check_page(asked)
    admin.post(f"{server.url}/tokens/{id}/revoke")
    assert not works(server, secret)
    assert admin.post(f"{server.url}/tokens/{id}/revoke").status_code == 404


def test_builds_of_a_token_that_a_page_revokes_are_stopped_at_once(
    server: Server, admin: requests.Session, target: dict[str, Any]
) -> None:
    tokens = [token_named(server, server.token(Role.REQUEST, target["id"])).id for _ in range(2)]
    admin.post(f"{server.url}/tokens/{tokens[0]}/revoke")  # the queue was just looked at
    with server.database() as database:
        work = Work(target["digest"], Level.ABI, (), False)
        database.add_build("b" * 16, work, ("a/b",), 1e9, "")
        database.ask("b" * 16, target["id"], tokens[1])
    began = time.monotonic()
    admin.post(f"{server.url}/tokens/{tokens[1]}/revoke")
    path = f"/api/v1/builds/{'b' * 16}"
    while server.ask("GET", path, server.admin).json()["state"] != "stopped":
        assert time.monotonic() - began < 9  # by itself the service looks every 10 s
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [({"name": " "}, "a name is 1 to"), ({"role": "king"}, "unknown role"),
     ({"quota": "much"}, "a number of seconds"), ({"target": "none"}, "unknown target"),
     ({"role": "read"}, "would see nothing"), ({"quota": "99999999999"}, "a number of seconds"),
     ({"quota": "0"}, "a number of seconds"), ({"quota": "9" * 5000}, "a number of seconds"),
     ({"quota": "\u0663"}, "a number of seconds"), ({"form": "x"}, "the form is not whole")],
)  # fmt: skip
def test_what_was_typed_stays_where_it_is_wrong(
    server: Server, admin: requests.Session, wrong: dict[str, str], said: str
) -> None:
    data = {"name": "my laptop", "role": "request", "quota": "77", "inject": "on", **wrong}
    answer = send(server, admin, data)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{data["quota"]}"' in answer.text
    assert f'value="{data["name"]}"' in answer.text
    assert 'type="checkbox" checked' in answer.text
    assert 'id="secret"' not in answer.text
    check_page(answer.text)


def test_a_form_that_is_sent_again_makes_no_second_token(
    server: Server, admin: requests.Session
) -> None:
    """A browser sends it again when its page is loaded again."""
    data = {"form": "0123abcd", "name": "twice", "role": "request"}
    first, again = (admin.post(f"{server.url}/tokens", data=data) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 409)
    (secret,) = re.findall(r'<code id="secret">(.*?)</code>', first.text)
    assert "has made its token already" in again.text
    assert 'id="secret"' not in again.text
    check_page(again.text)
    with server.database() as database:
        assert [each.id for each in database.tokens() if each.name == "twice"] == ["0123abcd"]
    assert secret not in server.log.read_text()
    assert secret not in first.url


def enrolled(server: Server, number: int, token: str) -> dict[str, Any]:
    """A target that a token enrolled, with its token."""
    owner = token_named(server, token)
    id = f"{number:012x}"
    target = add_target(server, id, name=f"laptop {number}", owner=owner.id)
    own = server.token(Role.REQUEST, id, account=owner.id, quota=owner.quota)
    with server.database() as database:  # as enrolment does it: it has no other
        (first,) = (each.id for each in database.tokens() if each.target == id and not each.account)
        database._do("DELETE FROM tokens WHERE id = ?", first)
    return {**target, "token": own}


def test_who_enrolled_a_target_is_shown_to_the_administrator(
    server: Server, admin: requests.Session
) -> None:
    token = server.token(Role.REQUEST)
    owner = token_named(server, token)
    target = enrolled(server, 0xA1, token)
    page = f"{server.url}/targets/{target['id']}"
    assert f'<a href="/tokens/{owner.id}">{owner.name}</a></dd>' in admin.get(page).text
    assert owner.id not in browser(server, target["token"]).get(page).text
    for who, said in ((server.admin, owner.id), (target["token"], None)):
        assert server.ask("GET", f"/api/v1/targets/{target['id']}", who).json()["owner"] == said
    of_owner = admin.get(f"{server.url}/tokens/{owner.id}").text
    check_page(of_owner)
    assert f'<a href="/targets/{target["id"]}">laptop {0xA1}</a>' in of_owner
    with server.database() as database:
        database.revoke(owner.id, 1.0)
    assert f'<a href="/tokens/{owner.id}">{owner.name}</a>, revoked' in admin.get(page).text
    (own,) = re.findall(r"<td>enrolment</td>", admin.get(f"{server.url}/tokens").text)[:1]
    assert own


def test_a_token_is_revoked_with_those_of_its_targets(
    server: Server, admin: requests.Session
) -> None:
    token = server.token(Role.REQUEST)
    owner = token_named(server, token)
    one, two = (enrolled(server, number, token) for number in (0xB1, 0xB2))
    page = f"{server.url}/tokens/{owner.id}/revoke"
    admin.post(page)
    assert [works(server, each) for each in (token, one["token"], two["token"])] == [0, 1, 1]
    asked = admin.get(page).text
    check_page(asked)
    assert "Also the tokens of the targets that it enrolled: test request, test request<" in asked
    admin.post(page, data={"with-targets": "on"})
    assert not any(works(server, each["token"]) for each in (one, two))
    with server.database() as database:
        assert database.target(one["id"]) is not None, "the targets stay"
    assert admin.post(page, data={"with-targets": "on"}).status_code == 404
    assert "It is revoked already." in admin.get(page).text


def test_a_quota_is_seen_and_changed_for_all_who_share_it(
    server: Server, admin: requests.Session
) -> None:
    token = server.token(Role.REQUEST, quota=100)
    owner = token_named(server, token)
    target = enrolled(server, 0xC1, token)
    with server.database() as database:
        database.charge([owner.id], 40.0, time.time())
    page = f"{server.url}/tokens/{owner.id}"
    for path in (page, f"{server.url}/tokens/{token_named(server, target['token']).id}"):
        assert "<dd>40 of 100 s</dd>" in admin.get(path).text
    wrong = admin.post(f"{page}/change", data={"quota": "9" * 5000})
    assert (wrong.status_code, "a number of seconds" in wrong.text) == (422, True)
    check_page(wrong.text)
    for quota, said in (("7200", "40 of 7200 s"), ("", "40 s, no limit")):
        assert f"<dd>{said}</dd>" in admin.post(f"{page}/change", data={"quota": quota}).text
        expected = int(quota) if quota else None
        for each in (token, target["token"]):
            assert token_named(server, each).quota == expected
    assert admin.get(f"{server.url}/tokens/none").status_code == 404


def test_a_token_for_a_target_is_in_its_account(server: Server, admin: requests.Session) -> None:
    token = server.token(Role.REQUEST, quota=100)
    target = enrolled(server, 0xD1, token)
    data = {"name": "again", "role": "request", "target": target["id"]}
    made = send(server, admin, data)
    (secret,) = re.findall(r'<code id="secret">(.*?)</code>', made.text)
    assert token_named(server, secret).payer == Payer(token_named(server, token).id, 100)
    refused = send(server, admin, {**data, "quota": "5"})
    assert refused.status_code == 422
    assert "the quota of the one that enrolled it" in refused.text


def test_tokens_are_the_administrators(server: Server, target: dict[str, Any]) -> None:
    session = browser(server, target["token"])
    assert session.get(f"{server.url}/tokens").status_code == 403
    assert 'href="/tokens"' not in session.get(f"{server.url}/").text
    assert session.post(f"{server.url}/tokens", data={"name": "x"}).status_code == 403
    with server.database() as database:
        (own,) = (each for each in database.tokens() if each.target == target["id"])
    for path in (own.id, f"{own.id}/revoke"):
        assert session.get(f"{server.url}/tokens/{path}").status_code == 403
    for path in (f"{own.id}/revoke", f"{own.id}/change"):
        assert session.post(f"{server.url}/tokens/{path}").status_code == 403
    assert works(server, target["token"])


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
def test_other_sites_change_nothing(
    server: Server, admin: requests.Session, target: dict[str, Any], headers: dict[str, str]
) -> None:
    for path in (f"targets/{target['id']}/remove", f"targets/{target['id']}/change", "tokens"):
        data = {"name": "evil", "role": "admin", "level": "1"}
        answer = admin.post(f"{server.url}/{path}", data=data, headers=headers)
        assert answer.status_code == 403
    with server.database() as database:
        assert getattr(database.target(target["id"]), "name", "") == "laptop"
        assert "evil" not in {each.name for each in database.tokens()}


@pytest.mark.parametrize("name", ["", "lap\ttop", "x" * 101])
def test_what_was_typed_stays_where_a_change_is_refused(
    server: Server, target: dict[str, Any], name: str
) -> None:
    session = browser(server, target["token"])
    address = f"{server.url}/targets/{target['id']}/change"
    answer = session.post(address, data={"name": name, "level": "1"})
    assert answer.status_code == 422
    check_page(answer.text)
    asked, changed = answer.text.split("<h2>Change or remove</h2>")
    assert "a name is 1 to" in changed
    assert "a name is 1 to" not in asked
    assert f'value="{name}" aria-invalid="true"' in changed
    assert '<option value="1" selected>' in changed
    assert 'value="1" selected' not in asked


@pytest.mark.parametrize("path", ["nothing", "targets/none", "builds/none", "targets/none/remove"])
def test_an_error_has_the_ways_on(
    server: Server, admin: requests.Session, target: dict[str, Any], path: str
) -> None:
    headers = {"Accept": "text/html"}
    for session, ways in ((admin, 5), (browser(server, target["token"]), 4)):
        answer = session.get(f"{server.url}/{path}", headers=headers)
        assert answer.status_code == 404
        check_page(answer.text)
        assert "Log out" in answer.text
        paths = ("/", "/targets", "/builds", "/packages", "/tokens")
        assert sum(f'<a href="{each}"' in answer.text for each in paths) == ways
        assert ('href="/tokens"' in answer.text) is (ways == 5)
    stranger = requests.get(f"{server.url}/nothing", headers=headers)
    assert "Log out" not in stranger.text


def test_a_database_that_is_not_free_is_a_page_with_the_ways_on(
    server: Server, admin: requests.Session, target: dict[str, Any]
) -> None:
    address = f"{server.url}/targets/{target['id']}/change"
    with closing(sqlite3.connect(server.state.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = admin.post(address, data={"name": "desktop", "level": "2"})
        other.execute("ROLLBACK")
    assert (answer.status_code, "database is locked" in answer.text) == (503, True)
    assert "Log out" in answer.text
    check_page(answer.text)


def test_a_target_is_changed_and_removed(server: Server, target: dict[str, Any]) -> None:
    session = browser(server, target["token"])
    address = f"{server.url}/targets/{target['id']}"
    changed = session.post(f"{address}/change", data={"name": "desktop", "level": "3b"})
    assert "<h1>desktop</h1>" in changed.text
    assert '<option value="3b" selected>' in changed.text
    reader = browser(server, server.token(Role.READ, target["id"]))
    for what in ("change", "remove"):
        assert reader.post(f"{address}/{what}", data={"name": "x"}).status_code == 403
    assert "Remove desktop?" in session.get(f"{address}/remove").text
    session.post(f"{address}/remove")
    assert not works(server, target["token"])
    with server.database() as database:
        assert database.target(target["id"]) is None
