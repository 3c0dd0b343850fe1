"""catalyst's pkgcache: packages are added to it, and none is replaced."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cloche.catalyst.conf import read_conf
from cloche.catalyst.spec import parse_spec
from cloche.releng.pkgcache import keep_packages, pkgcache_path, read_index

HEADER = "CHOST: x86_64-pc-linux-gnu\nPACKAGES: 1\nVERSION: 0\nrepository: own\n"


def packages(place: Path, content: str, name: str = "note-1-1.gpkg.tar") -> Path:
    """A PKGDIR with one package."""
    file = place / "app-misc/note" / name
    file.parent.mkdir(parents=True)
    file.write_text(content)
    os.utime(file, (1, 1))
    entry = f"BUILD_ID: 1\nCPV: app-misc/note-1\nPATH: app-misc/note/{name}\nUSE: a\n"
    (place / "Packages").write_text(f"{HEADER}\n{entry}\n")
    return place


def test_a_package_is_added_once_with_what_its_index_says(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    made = packages(tmp_path / "made", "first")
    assert [keep_packages([made], cache) for _ in range(2)] == [1, 0]
    file = cache / "app-misc/note/note-1-1.gpkg.tar"
    assert file.read_text() == "first"
    assert file.stat().st_mtime == 1  # Portage knows by it that an entry is right
    (entry,) = read_index(cache / "Packages").entries.values()
    assert entry["USE"] == "a"
    assert entry["CHOST"] == "x86_64-pc-linux-gnu"  # another header may have another one
    assert "PACKAGES: 1\n" in (cache / "Packages").read_text()


def test_another_content_gets_the_next_build_id_and_the_first_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    keep_packages([packages(tmp_path / "one", "first")], cache)
    keep_packages([packages(tmp_path / "two", "second")], cache)
    place = cache / "app-misc/note"
    assert {file.name: file.read_text() for file in place.iterdir()} == {
        "note-1-1.gpkg.tar": "first",
        "note-1-2.gpkg.tar": "second",
    }
    entries = read_index(cache / "Packages").entries
    assert [each["BUILD_ID"] for each in entries.values()] == ["1", "2"]


def test_what_others_put_there_stays(tmp_path: Path) -> None:
    cache = packages(tmp_path / "cache", "theirs", "note-1-7.gpkg.tar")
    keep_packages([packages(tmp_path / "made", "ours")], cache)
    assert (cache / "app-misc/note/note-1-7.gpkg.tar").read_text() == "theirs"
    assert len(read_index(cache / "Packages").entries) == 2


@pytest.mark.parametrize(
    ("more", "options", "path"),
    [
        ("", "", "/s/packages/r/stage1-amd64"),
        ("", '"versioned_cache"', "/s/packages/r/stage1-amd64-x"),
        ("pkgcache_path: /p\n", "", "/p"),
    ],
)
def test_it_lies_where_catalyst_has_it(tmp_path: Path, more: str, options: str, path: str) -> None:
    text = f"target: stage1\nsubarch: amd64\nrel_type: r\nversion_stamp: x\n{more}"
    (tmp_path / "c").write_text(f'storedir = "/s"\noptions = [{options}]\n')
    assert str(pkgcache_path(parse_spec(text, Path("x")), read_conf([tmp_path / "c"]))) == path
