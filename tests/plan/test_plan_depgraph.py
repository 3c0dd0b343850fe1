"""A resolution comes out of a sandbox in which ebuilds ran: nothing of it is believed."""

from __future__ import annotations

from typing import Any

import pytest

from cloche.plan.depgraph import (
    BadResolutionError,
    decode_depgraph,
    encode_depgraph,
    resolution_of,
)

PACKAGE: dict[str, Any] = {
    "id": "a/b-1::local",
    "cpv": "a/b-1",
    "category": "a",
    "pn": "b",
    "pf": "b-1",
    "version": "1",
    "slot": "0",
    "sub_slot": "0",
    "repo": "local",
    "eapi": "8",
    "ebuild": "a/b/b-1.ebuild",
    "edges": [{"to": "a/b-1::local", "kinds": ["runtime"]}],
    "distfiles": [{"name": "b-1.tar.gz", "size": 1, "digests": {"SHA512": "aa"}}],
}


def test_what_was_written_is_read_again() -> None:
    graph = resolution_of({"packages": [PACKAGE]})
    assert decode_depgraph(encode_depgraph(graph)) == graph


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cpv", "../../etc/b-1"),
        ("id", "a/b-1::../../local"),
        ("category", ".."),
        ("pf", "b-1/../../x"),
        ("pn", "-rf"),
        ("repo", "../x"),
        ("ebuild", "/etc/passwd"),
        ("ebuild", "a/../../b-1.ebuild"),
        ("distfiles", [{"name": "../x", "size": 1, "digests": {}}]),
        ("distfiles", [{"name": "..", "size": 1, "digests": {}}]),
        ("distfiles", [{"name": "x", "size": -1, "digests": {}}]),
        ("edges", [{"to": "c/d-1::local", "kinds": []}]),
        ("cpv", "a/c-1"),
        ("id", "a/b-1::other"),
        ("slot", 3),
    ],
)
def test_names_that_lead_elsewhere_are_refused(key: str, value: object) -> None:
    with pytest.raises(BadResolutionError):
        resolution_of({"packages": [PACKAGE | {key: value}]})


def test_a_package_stands_in_it_once() -> None:
    with pytest.raises(BadResolutionError, match="twice"):
        resolution_of({"packages": [PACKAGE, PACKAGE]})


@pytest.mark.parametrize("data", [b"", b"\xff", b"[" * 100_000, b'{"packages": 3}'])
def test_a_damaged_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadResolutionError):
        decode_depgraph(data)
