"""Faults of the API: each is one line, and nothing is written; nobody sees the token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.autogen.forge import NAME, Bench
from tests.autogen.test_autogen_github_generate import failed

from cloche.autogen.errors import NotPublishedError, UpstreamError
from cloche.errors import ClocheError, Exit

ABOUT = f"/repos/{NAME}"
LIMITED = b'{"message":"API rate limit exceeded for 192.0.2.1.","documentation_url":"https://x"}'


@pytest.fixture(autouse=True)
def released(bench: Bench) -> None:
    bench.forge.release("v1.2")


@pytest.mark.parametrize("status", [403, 429])
def test_a_rate_limit_is_told_with_its_end(bench: Bench, status: int) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1798761600"}
    bench.forge.faults[ABOUT] = (status, headers, LIMITED)
    error = failed(bench)
    assert error.what == "the rate limit is used up until 2027-01-01 00:00:00 UTC"
    assert "GITHUB_TOKEN" in (error.todo or "")
    assert error.status == Exit.FAILED


def test_a_limit_for_a_while_is_told_with_its_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloche.autogen.github.api.time.time", lambda: 1798761600.0)
    bench.forge.faults[ABOUT] = (403, {"Retry-After": "60"}, LIMITED)
    assert "until 2027-01-01 00:01:00 UTC" in failed(bench).what


FAULTS: dict[str, tuple[Any, type[ClocheError], str]] = {
    "cut off": ("cut", UpstreamError, "cut off"),
    "not JSON": ((200, {}, b"<html>"), UpstreamError, "not JSON"),
    "half of JSON": ((200, {}, b'{"full_name": "lar'), UpstreamError, "cut off, or not JSON"),
    "of another kind": ((200, {}, b"[]"), UpstreamError, "has no usable"),
    "not there": ((404, {}, b'{"message":"Not Found"}'), NotPublishedError, "no repository"),
    "withdrawn": ((451, {}, b'{"message":"DMCA"}'), NotPublishedError, "legal reasons: DMCA"),
    "forbidden": ((403, {}, b'{"message":"Blocked\\nhere"}'), UpstreamError, "403: Blocked here"),
    "bad token": ((401, {}, b'{"message":"Bad credentials"}'), UpstreamError, "not accepted"),
    "broken": ((502, {}, b"<html>"), UpstreamError, "answers 502"),
}


@pytest.mark.parametrize(("fault", "kind", "word"), FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_is_one_line(bench: Bench, fault: Any, kind: type[ClocheError], word: str) -> None:
    bench.forge.faults[ABOUT] = fault
    error = failed(bench)
    assert isinstance(error, kind)
    assert word in error.what
    assert bench.run().exit_code == 0  # what was answered wrongly is not kept


def test_a_list_that_is_cut_off_is_one_line_and_its_first_page_stays(bench: Bench) -> None:
    bench.forge.page_size = 1
    bench.forge.release("v1.3")
    bench.forge.faults[f"{ABOUT}/releases?per_page=100&page=2"] = "cut"
    assert "cut off" in failed(bench).what
    asked = len(bench.forge.asked)
    assert bench.run().exit_code == 0
    lists = [e[1] for e in bench.forge.asked[asked:] if e[0].startswith(f"{ABOUT}/releases")]
    assert lists == [304, 200]


def test_a_list_that_does_not_end_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its newest entry may be behind what was read."""
    monkeypatch.setattr("cloche.autogen.github.api._PAGES", 2)
    bench.forge.page_size = 1
    bench.forge.release("v1.3")
    assert bench.run().exit_code == 0
    bench.forge.release("v1.4")
    assert "a list of more than 2 pages" in failed(bench).what


def test_a_next_page_elsewhere_is_refused(bench: Bench) -> None:
    body = json.dumps(bench.forge.releases).encode()
    link = {"Link": '<http://127.0.0.2:1/repos?page=2>; rel="next"'}
    bench.forge.faults[f"{ABOUT}/releases"] = (200, link, body)
    assert "on another server" in failed(bench).what


def test_a_server_that_is_not_there_is_one_line(bench: Bench) -> None:
    bench.forge.address = "http://127.0.0.1:1"
    assert "does not answer" in failed(bench).what


def test_the_token_goes_to_the_api_alone_and_is_never_shown(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
    done = bench.run()
    assert done.exit_code == 0
    for path, _, headers in bench.forge.asked:
        wanted = "Bearer ghp_secret" if path.startswith("/repos") else None
        assert headers.get("Authorization") == wanted, path
    bench.forge.faults[ABOUT] = (401, {}, b'{"message":"Bad credentials"}')
    assert "ghp_secret" not in str(failed(bench)) + done.output + done.stderr
    kept = b"".join(p.read_bytes() for p in bench.room.rglob("*") if p.is_file())
    assert b"ghp_secret" not in kept


def test_a_token_that_is_none_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "one\ntwo")
    error = failed(bench)
    assert "two" not in str(error)
    assert error.status == Exit.BAD_INPUT


def test_a_broken_cache_costs_only_the_answer(bench: Bench) -> None:
    bench.run()
    for path in (bench.room / "cache/cloche/github").glob("*.json"):
        path.write_text("{")
    asked = len(bench.forge.asked)
    assert bench.run().exit_code == 0
    assert {status for _, status, _ in bench.forge.asked[asked:]} == {200}


@pytest.mark.parametrize("name", ["larry", "larry/", "../hello", "la rry/hello", "larry/hello@$x"])
def test_a_name_that_is_none_is_refused(bench: Bench, name: str) -> None:
    assert failed(bench, name).status == Exit.BAD_INPUT
    assert bench.forge.asked == []


def test_an_address_that_is_none_is_refused(bench: Bench) -> None:
    bench.forge.address = "ftp://example.org"
    assert failed(bench).status == Exit.BAD_INPUT
