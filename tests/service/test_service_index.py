"""The index of a target, as Portage reads it."""

from __future__ import annotations

import gzip
import io
import time

from portage.getbinpkg import PackageIndex

from cloche.service.index import is_unmodified, made
from cloche.service.pool import path_of, with_fields

ENTRY = "BUILD_ID: 1\nCPV: a/b-1\nDESC: {}\nPATH: old\nSIZE: 3\nSLOT: 0"


def test_portage_reads_it() -> None:
    entries = [(f"CPV: a/b-{n}\nPATH: a/b/b-{n}-1.gpkg.tar\nSIZE: 5", "3a") for n in range(3)]
    index = made("amd64", "x86_64-pc-linux-gnu", 1_700_000_000, entries)
    found = PackageIndex()
    found.read(io.StringIO(index.plain.decode()))
    assert found.header["TIMESTAMP"] == "1700000000"
    assert found.header["VERSION"] == "0"
    assert [each["CPV"] for each in found.packages] == ["a/b-0", "a/b-1", "a/b-2"]
    assert {each["CLOCHE_LEVEL"] for each in found.packages} == {"3a"}
    assert gzip.decompress(index.packed) == index.plain


def test_an_empty_one_is_one_too() -> None:
    found = PackageIndex()
    found.read(io.StringIO(made("amd64", "x", 5, []).plain.decode()))
    assert (found.header["PACKAGES"], found.packages) == ("0", [])


def test_an_entry_names_its_file() -> None:
    entry = with_fields(ENTRY.format("x"), {"PATH": "new", "SIZE": "4", "BUILD_ID": "7"})
    assert entry.splitlines() == sorted(
        ["BUILD_ID: 7", "CPV: a/b-1", "DESC: x", "PATH: new", "SIZE: 4", "SLOT: 0"]
    )
    assert path_of("app-misc/jq-1.6-r1", 4) == "app-misc/jq/jq-1.6-r1-4.gpkg.tar"


def test_one_of_600_packages_is_made_fast() -> None:
    entries = [(ENTRY.format("x" * 1000), "3a")] * 600
    began = time.process_time()
    made("amd64", "x", 5, entries)
    assert time.process_time() - began < 0.5  # of the processor


def test_a_client_that_has_it_is_told_so() -> None:
    etag = made("amd64", "x", 1000, []).etag
    assert is_unmodified(1000, etag, etag, None)
    assert is_unmodified(1000, etag, f'"x", W/{etag}', None)
    assert not is_unmodified(1000, etag, '"x"', "Thu, 01 Jan 2099 00:00:00 GMT")
    assert is_unmodified(1000, etag, None, "Thu, 01 Jan 1970 00:16:40 GMT")
    assert not is_unmodified(1000, etag, None, "Thu, 01 Jan 1970 00:16:39 GMT")
    assert not is_unmodified(1000, etag, None, "yesterday")
    assert not is_unmodified(1000, etag, None, None)
