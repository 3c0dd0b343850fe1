"""A description is checked when it arrives, and changed by what the client sends of it."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import msgspec
import pytest
from tests.targets.described import described, entry

from cloche.targets.description import (
    MOST,
    BadDescriptionError,
    Change,
    StaleChangeError,
    changed,
    decode_change,
    decode_description,
    digest,
    encode_description,
)


def written(**more: Any) -> bytes:
    """A description as a client sends it."""
    own = {"portage": "3.0.83", "arch": "amd64", "chost": "x86_64-pc-linux-gnu"}
    return json.dumps({**own, "profile": "local:default", **more}).encode()


def test_it_is_read_as_it_was_written() -> None:
    whole = described({"app-misc/stone-1": entry()}, {"USE": "moss"}, {"package.use/a": "a/b c\n"})
    assert decode_description(encode_description(whole)) == whole


def test_the_digest_is_one_that_a_client_can_compute() -> None:
    whole = described({"app-misc/stone-1": entry()}, {"USE": 'ü "\x7f\t'})
    data = json.loads(encode_description(whole))
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert digest(whole) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "path",
    ["../x", "/x", "a/../b", "a//b", "a/", ".", "..", "a/.", "", "a\nb", "a\0b", "x" * 300],
)
def test_paths_stay_below_etc_portage(path: str) -> None:
    with pytest.raises(BadDescriptionError):
        decode_description(written(files={path: "text"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"packages": {"nothing": {"SLOT": "0", "EAPI": "8"}}},
        {"packages": {"a/../b-1": {"SLOT": "0", "EAPI": "8"}}},
        {"packages": {"a/b-1": {"SLOT": "0"}}},
        {"packages": {"a/b-1": {"SLOT": "0", "EAPI": "8", "CONTENTS": "x"}}},
        {"profile": "local:../../x"},
        {"profile": "default"},
        {"make_conf": {"A B": "x"}},
        {"make_conf": {"A": "x\0"}},
        {"files": {"a": "x", "a/b": "y"}},
        {"format": 2},
        {"more": 1},
        {"files": {"a": "x" * (2 << 20)}},
    ],
)
def test_what_is_malformed_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadDescriptionError):
        decode_description(written(**wrong))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_not_a_description_is_refused(text: bytes) -> None:
    with pytest.raises(BadDescriptionError):
        decode_description(text)
    with pytest.raises(BadDescriptionError):
        decode_change(text)


def test_a_change_names_what_is_new_and_what_is_gone() -> None:
    before = described(
        {"a/b-1": entry(), "a/c-1": entry()}, {"USE": "x"}, {"package.use": "old", "sets/s": "a/b"}
    )
    after = described({"a/c-1": entry(), "a/b-2": entry()}, {"USE": "y"}, {"package.use": "new"})
    change = Change(
        digest(before),
        entries={
            "packages": {"a/b-2": entry()},
            "make_conf": {"USE": "y"},
            "files": {"package.use": "new"},
        },
        removed={"packages": ("a/b-1",), "files": ("sets/s",)},
    )
    assert changed(before, decode_change(msgspec.json.encode(change))) == after


def test_a_change_of_another_state_is_refused() -> None:
    with pytest.raises(StaleChangeError):
        changed(described(), Change("0" * 64))


@pytest.mark.parametrize(
    "parts",
    [
        {"entries": {"files": {"../x": "y"}}},
        {"entries": {"world": {"a": "b"}}},
        {"fields": {"arch": 1}},
        {"fields": {"unknown": "x"}},
        {"entries": {"packages": {"a/b-1": {}}}},
    ],
)
def test_a_change_is_checked_as_the_whole_is(parts: dict[str, Any]) -> None:
    with pytest.raises(BadDescriptionError):
        changed(described(), Change(digest(described()), **parts))


def test_the_entries_of_a_field_are_bounded_and_looked_at_once() -> None:
    deep = "/".join(["d"] * 100)
    files = {f"{deep}/{number}": "" for number in range(MOST)}
    began = time.process_time()
    assert len(decode_description(written(files=files)).files) == MOST
    assert time.process_time() - began < 3  # each with each took minutes
    for field, more in (
        ("files", {**files, "one": ""}),
        ("packages", {f"a/b-{n}": {"SLOT": "0", "EAPI": "8"} for n in range(MOST + 1)}),
        ("make_conf", {f"V{n}": "" for n in range(MOST + 1)}),
        ("repositories", {f"r{n}": {} for n in range(MOST + 1)}),
        ("symbols", {f"S{n}": "1" for n in range(MOST + 1)}),
        ("world", ["a/b"] * (MOST + 1)),
        ("world_sets", ["@a"] * (MOST + 1)),
    ):
        with pytest.raises(BadDescriptionError, match=rf"{MOST}.*{field}"):
            decode_description(written(**{field: more}))


@pytest.mark.parametrize("other", ["a!", "a-b", "a/b/c", "ab"])
def test_a_name_is_of_a_file_or_of_a_directory(other: str) -> None:
    decode_description(written(files=dict.fromkeys(["a/b/d", other], "")))
    with pytest.raises(BadDescriptionError, match="/etc/portage/a is both"):
        decode_description(written(files=dict.fromkeys(["a/b/d", other, "a"], "")))
