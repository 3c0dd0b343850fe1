"""The pages: whole without JavaScript, nothing of others, everything escaped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest
import requests
from tests.service.serving import (
    Server,
    add_package,
    add_target,
    served,
    server_of,
    written_project,
)

from cloche.records import events as ev
from cloche.service.events import Journal
from cloche.service.values import Outcome, Work
from cloche.targets.levels import Level

EVIL = "<script>alert(1)</script>&\"'"
NOW = time.time() - 600
A, B = "app-misc/a-1::local", "app-misc/b-1::local"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two targets, a failed build of one, and a package."""
    made = server_of(written_project(tmp_path_factory.mktemp("pages")))
    own = add_target(made, name="laptop", notes=(EVIL,))
    add_target(made, "1" * 12, name="other machine")
    add_package(made, own, "app-misc/ready-1")
    work = Work(own["digest"], Level.ABI, (), False)
    with made.database() as database:
        database.add_build("a" * 16, work, ("app-misc/b",), NOW, "r")
        database.ask("a" * 16, own["id"], "x")
        database.start("a" * 16, "r", NOW)
        words = f"died {EVIL}"
        database.add_outcome("a" * 16, Outcome("app-misc/b-1", "failed", words))
        database.end("a" * 16, "failed", NOW + 60)
    journal = Journal(made.state.build("a" * 16), "/api/v1/builds/" + "a" * 16, "b", lambda: None)
    log = made.place / "b.log"
    log.write_text(f"a line {EVIL}\n")
    for event in (
        ev.Planned(machine="m", packages=(A, B), edges={B: (A,)}),
        ev.Started(package=A, step="build"),
        ev.Done(package=A, how="built", seconds=2.0),
        ev.Started(package=B, step="build", log=str(log)),
        ev.Done(package=B, how="failed", seconds=1.0, reason=f"{B}: died {EVIL}", log=str(log)),
    ):
        journal(event)
    journal.write({"event": "end", "state": "failed"})
    with served(made):
        made.targets = {"laptop": own}  # type: ignore[attr-defined]
        yield made


@pytest.fixture
def browser(server: Server) -> requests.Session:
    """Somebody who is logged in as the laptop."""
    session = requests.Session()
    token = server.targets["laptop"]["token"]  # type: ignore[attr-defined]
    answer = session.post(f"{server.url}/login", data={"token": token, "next": "/builds"})
    assert answer.url == f"{server.url}/builds"
    return session


PAGES = (
    "/",
    "/targets",
    "/targets/000000000000",
    "/builds",
    "/builds/aaaaaaaaaaaaaaaa",
    "/packages",
    "/packages?q=ready",
    "/login",
    "/nothing",
    "/targets/000000000000/remove",
)


class Checked(HTMLParser):
    """Sees that elements are closed, and collects what a reader with a screen reader needs."""

    VOID = ("meta", "link", "input", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of all elements of a kind."""
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_whole_and_accessible(
    server: Server, browser: requests.Session, path: str
) -> None:
    answer = browser.get(server.url + path, headers={"Accept": "text/html,*/*"})
    assert answer.status_code == (404 if path == "/nothing" else 200)
    check_page(answer.text)


def check_page(text: str) -> None:
    """See that a page is whole and accessible."""
    page = Checked(text)
    assert page.open == []
    assert EVIL not in text
    assert len(set(page.ids)) == len(page.ids)
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("h1")) == 1
    assert all(image.get("alt") for image in page.all("img"))
    labelled = {label["for"] for label in page.all("label")}
    for kind in ("input", "textarea", "select"):
        fields = [each for each in page.all(kind) if each.get("type") != "hidden"]
        assert {each["id"] for each in fields} <= labelled
    for table in re.findall(r"<table>.*?</table>", text, re.DOTALL):
        assert "<caption>" in table
        assert 'scope="col"' in table
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert not any("style" in attrs for _, attrs in page.tags)


def test_nothing_but_our_own_scripts_and_styles_may_run(
    server: Server, browser: requests.Session
) -> None:
    policy = browser.get(f"{server.url}/builds").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_a_failure_is_told_with_its_log(server: Server, browser: requests.Session) -> None:
    text = browser.get(f"{server.url}/builds/{'a' * 16}").text
    assert "died &lt;script&gt;" in text
    assert "2 of 2 packages, 1 failed" in text
    (log,) = re.findall(r'href="(/api/[^"]*log/app-misc/b-1)" aria-label', text)
    answer = browser.get(server.url + log)
    assert answer.text == f"a line {EVIL}\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"
    picture = browser.get(f"{server.url}/builds/{'a' * 16}/graph.svg")
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "script" not in picture.headers["content-security-policy"]
    assert picture.text.count("<rect") == 2


def test_others_are_not_seen(server: Server, browser: requests.Session) -> None:
    assert "other machine" not in browser.get(f"{server.url}/targets").text
    assert browser.get(f"{server.url}/targets/{'1' * 12}").status_code == 404
    administrator = requests.Session()
    administrator.post(f"{server.url}/login", data={"token": server.admin})
    assert "other machine" in administrator.get(f"{server.url}/targets").text
    assert administrator.get(f"{server.url}/targets/{'1' * 12}").status_code == 200


def test_without_a_token_pages_lead_to_the_login(server: Server) -> None:
    answer = requests.get(f"{server.url}/builds", allow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=/builds"


def test_a_wrong_token_is_refused_and_a_cookie_is_not_for_scripts(server: Server) -> None:
    answer = requests.post(f"{server.url}/login", data={"token": "wrong"}, allow_redirects=False)
    assert answer.status_code == 401
    assert "not valid" in answer.text
    assert "set-cookie" not in answer.headers
    answer = requests.post(
        f"{server.url}/login", data={"token": server.admin}, allow_redirects=False
    )
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


@pytest.mark.parametrize("elsewhere", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_login_leads_nowhere_else(server: Server, elsewhere: str) -> None:
    answer = requests.post(
        f"{server.url}/login",
        data={"token": server.admin, "next": elsewhere},
        allow_redirects=False,
    )
    assert answer.headers["location"] == "/"


def test_who_logs_out_is_out(server: Server, browser: requests.Session) -> None:
    browser.post(f"{server.url}/logout")
    assert browser.get(f"{server.url}/builds").url.endswith("/login?next=/builds")


@pytest.mark.parametrize(
    "headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}]
)
def test_forms_of_other_sites_are_refused(
    server: Server, browser: requests.Session, headers: dict[str, str]
) -> None:
    answer = browser.post(
        f"{server.url}/builds/{'a' * 16}/repeat", headers=headers, allow_redirects=False
    )
    assert answer.status_code == 403
    with server.database() as database:
        assert database.build("a" * 16).state == "failed"


def test_what_is_no_atom_is_told_on_a_page(server: Server, browser: requests.Session) -> None:
    typed = {"atoms": f"app-misc/jq {EVIL}", "level": "3b"}
    answer = browser.post(f"{server.url}/targets/{'0' * 12}/want", data=typed)
    assert answer.status_code == 422
    assert "is not an atom" in answer.text
    assert ">app-misc/jq &lt;script&gt;" in answer.text, "what was typed is still there"
    assert '<option value="3b" selected>' in answer.text
    check_page(answer.text)


def test_programs_get_a_document_where_nothing_is(server: Server) -> None:
    browsers = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    for path, headers in (("/nope", {}), ("/api/nope", browsers), ("/t/x/y", browsers)):
        answer = requests.get(server.url + path, headers=headers)
        assert answer.status_code in (401, 404)
        assert answer.headers["content-type"] == "application/problem+json"
    answer = requests.get(f"{server.url}/nope", headers=browsers)
    assert answer.headers["content-type"].startswith("text/html")
    assert "there is no such page" in answer.text


@pytest.mark.parametrize("name", ["../pages.py", "%2e%2e/app.py", "service.py", "."])
def test_only_styles_and_scripts_are_static(server: Server, name: str) -> None:
    answer = requests.get(f"{server.url}/static/{name}")
    assert answer.status_code == 404


def test_styles_and_scripts_are_small(server: Server) -> None:
    sizes = {
        name: len(requests.get(f"{server.url}/static/{name}").content)
        for name in ("service.css", "live.js", "icon.svg")
    }
    assert all(0 < size < 8000 for size in sizes.values()), sizes
