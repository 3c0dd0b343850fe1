"""Transfers over real HTTP: broken off, gone on with, of the wrong size, from the disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.mirrors import served

from cloche.fetching.download import check_digests, fetch_file, fetch_text, shown
from cloche.fetching.errors import (
    FetchingError,
    NotThereError,
    WrongContentError,
)

DATA = os.urandom(1_000_000)


def test_a_file_comes_whole_and_its_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    with served({"dir/file": DATA}) as mirror:
        fetch_file(
            f"{mirror.address}/dir/file", tmp_path / "got", progress=lambda *at: told.append(at)
        )
    assert (tmp_path / "got").read_bytes() == DATA
    assert told[-1] == (len(DATA), len(DATA))
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_a_transfer_that_breaks_off_goes_on_where_it_ended(tmp_path: Path) -> None:
    with served({"file": DATA}) as mirror:
        mirror.cut["file"] = [300_000, 700_000]
        fetch_file(f"{mirror.address}/file", tmp_path / "got", size=len(DATA))
        assert (tmp_path / "got").read_bytes() == DATA
        assert [ranged for _, ranged in mirror.asked] == ["", "bytes=300000-", "bytes=700000-"]


def test_the_next_run_goes_on_too(tmp_path: Path) -> None:
    with served({"file": DATA}) as mirror:
        mirror.cut["file"] = [300_000, 300_000]
        with pytest.raises(FetchingError, match="broken off") as caught:
            fetch_file(f"{mirror.address}/file", tmp_path / "got")
        assert "run it again to resume after 300000 bytes" in str(caught.value)
        fetch_file(f"{mirror.address}/file", tmp_path / "got")
        assert mirror.asked[-1] == ("file", "bytes=300000-")
    assert (tmp_path / "got").read_bytes() == DATA


@pytest.mark.parametrize("validators", [True, False])
def test_the_rest_of_another_file_is_not_appended(tmp_path: Path, validators: bool) -> None:
    with served({"file": DATA}) as mirror:
        mirror.validators = validators
        mirror.cut["file"] = [300_000, 300_000]
        with pytest.raises(FetchingError, match="broken off"):
            fetch_file(f"{mirror.address}/file", tmp_path / "got")
        mirror.put("file", DATA[::-1])
        fetch_file(f"{mirror.address}/file", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == DATA[::-1]


@pytest.mark.parametrize("size", [len(DATA) - 1, len(DATA) + 1])
def test_a_wrong_size_is_refused(tmp_path: Path, size: int) -> None:
    with served({"file": DATA}) as mirror, pytest.raises(WrongContentError, match=str(size)):
        fetch_file(f"{mirror.address}/file", tmp_path / "got", size=size)
    assert not (tmp_path / "got").exists()


def test_a_server_that_lies_about_the_length_is_no_whole_file(tmp_path: Path) -> None:
    with served({"file": DATA}) as mirror:
        mirror.lies["file"] = len(DATA) + 5
        with pytest.raises(FetchingError, match="broken off"):
            fetch_file(f"{mirror.address}/file", tmp_path / "got")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with served() as mirror:
        with pytest.raises(NotThereError, match="no such file"):
            fetch_file(f"{mirror.address}/none", tmp_path / "got")
        with pytest.raises(NotThereError):
            fetch_text(f"{mirror.address}/none")
    with pytest.raises(FetchingError, match="no answer"):
        fetch_text(f"{mirror.address}/none")


def test_files_of_the_disk(tmp_path: Path) -> None:
    (tmp_path / "a b").write_bytes(DATA)
    address = (tmp_path / "a b").as_uri()
    fetch_file(address, tmp_path / "got", size=len(DATA))
    assert (tmp_path / "got").read_bytes() == DATA
    with pytest.raises(WrongContentError):
        fetch_file(address, tmp_path / "got", size=1)
    with pytest.raises(NotThereError):
        fetch_text((tmp_path / "none").as_uri())


@pytest.mark.parametrize("address", ["ftp://host/file", "file", "file://host/x", "http://"])
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    with pytest.raises(FetchingError, match="not an address that can be fetched"):
        fetch_file(address, tmp_path / "got")


def test_a_password_is_not_shown() -> None:
    assert shown("https://me:secret@host:1/x") == "https://host:1/x"


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    sha512 = (
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
    )
    check_digests(tmp_path / "file", {"SHA512": sha512.upper(), "MD5": "x"}, "here")
    with pytest.raises(WrongContentError, match="SHA512"):
        check_digests(tmp_path / "file", {"SHA512": sha512[::-1]}, "here")
    with pytest.raises(WrongContentError, match="no digest"):
        check_digests(tmp_path / "file", {"MD5": "x"}, "here")
