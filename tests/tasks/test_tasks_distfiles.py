"""Sources: checked against the Manifest before they are kept, shown under their own names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloche.plan.depgraph import Distfile
from cloche.store import Store
from cloche.tasks import distfiles
from cloche.tasks.distfiles import BadDistfileError

CONTENT = b"source"


def distfile(name: str = "a.tar", content: bytes = CONTENT, **digests: str) -> Distfile:
    given = digests or {
        "BLAKE2B": hashlib.blake2b(content).hexdigest(),
        "SHA512": hashlib.sha512(content).hexdigest(),
    }
    return Distfile(name=name, size=len(content), digests=given, uris=())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "a.tar"
    path.write_bytes(CONTENT)
    return path


def test_a_right_file_is_kept_by_its_strongest_digest(store: Store, source: Path) -> None:
    file = distfile()
    assert distfiles.missing(store, [file]) == (file,)
    if os.geteuid() == 0:
        distfiles.keep(store, source, file)
        place = store.distfiles / f"BLAKE2B-{file.digests['BLAKE2B']}"
        assert distfiles.path_of(store, file) == place
        assert place.read_bytes() == CONTENT
        assert distfiles.missing(store, [file]) == ()


WRONG = {
    "short": (distfile(content=CONTENT + b"!"), "6 bytes, the Manifest has 7"),
    "weak digest right": (
        distfile(BLAKE2B="00" * 64, SHA512=hashlib.sha512(CONTENT).hexdigest()),
        "BLAKE2B does not match",
    ),
    "strong digest right": (
        distfile(BLAKE2B=hashlib.blake2b(CONTENT).hexdigest(), SHA512="00" * 64),
        "SHA512 does not match",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_not(store: Store, source: Path, name: str) -> None:
    file, words = WRONG[name]
    with pytest.raises(BadDistfileError, match=words):
        distfiles.keep(store, source, file)
    assert list(store.distfiles.iterdir()) == []


@pytest.mark.parametrize("digests", [{"MD5": "aa"}, {"SHA512": "../../etc/passwd"}])
def test_a_manifest_without_a_usable_digest_is_refused(digests: dict[str, str]) -> None:
    with pytest.raises(BadDistfileError, match="no digest of a known kind"):
        distfiles.stored_name(distfile(**digests))


def test_a_link_or_a_pipe_is_not_a_file(store: Store, tmp_path: Path, source: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(source)
    os.mkfifo(tmp_path / "pipe")
    for path in (link, tmp_path / "pipe"):
        with pytest.raises(BadDistfileError, match="not a regular file"):
            distfiles.keep(store, path, distfile())


def test_nothing_but_the_content_is_taken(store: Store, source: Path) -> None:
    """The mode stays behind, and so does whoever has the file open."""
    source.chmod(0o4777)
    with source.open("ab") as writer:
        distfiles.keep(store, source, distfile())
        writer.write(b"more")
    (kept,) = store.distfiles.iterdir()
    assert kept.stat().st_mode & 0o7777 == 0o644
    assert kept.stat().st_nlink == 1
    assert b"more" not in kept.read_bytes()


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ""])
def test_a_name_leads_nowhere_else(store: Store, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadDistfileError, match="not a file name"):
        distfiles.show(store, [distfile(name)], tmp_path)
