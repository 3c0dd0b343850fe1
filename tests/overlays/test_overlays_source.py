"""A partial clone fetches what is asked for, and refuses what no repository of ebuilds has."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.overlays.published import Upstream

from cloche.errors import Exit
from cloche.overlays.content import File, check_links, check_names
from cloche.overlays.errors import OverlayError
from cloche.overlays.source import LINK, REGULAR, Entry, Source, object_id
from cloche.trees.methods import SyncContext

Sourced = Callable[[], Source]


@pytest.fixture
def source(upstream: Upstream, tmp_path: Path) -> Source:
    return Source("thicket", upstream.address, "", SyncContext(tmp_path / "cache"))


def here(source: Source) -> set[str]:
    """The files' contents that the clone has."""
    words = ["git", "--git-dir", source.bare, "cat-file", "--batch-all-objects", "--batch-check"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {line.split()[0] for line in done.stdout.splitlines() if line.split()[1] == "blob"}


def test_only_files_that_are_asked_for_are_fetched(source: Source, tmp_path: Path) -> None:
    commit = source.newest()
    listing = source.listing(commit)
    assert here(source) == set()
    wanted = {"profiles/repo_name": listing["profiles/repo_name"]}
    assert source.contents(wanted, tmp_path) == {"profiles/repo_name": b"thicket\n"}
    assert here(source) == {listing["profiles/repo_name"].id}
    assert listing["profiles/repo_name"].id == object_id(b"thicket\n")


def test_a_server_without_filters_gives_all_and_works(
    source: Source, upstream: Upstream, tmp_path: Path
) -> None:
    upstream.git("config", "--unset", "uploadpack.allowFilter")
    listing = source.listing(source.newest())
    wanted = {"profiles/repo_name": listing["profiles/repo_name"]}
    assert source.contents(wanted, tmp_path) == {"profiles/repo_name": b"thicket\n"}


def test_an_older_commit_can_be_had_again(source: Source, upstream: Upstream) -> None:
    first = source.newest()
    second = upstream.write({"profiles/eapi": "7\n"})
    assert source.newest() == second
    other = replace(source, context=SyncContext(source.context.cache / "other"))
    other.ensure(first)
    assert other.listing(first) == source.listing(first)


def test_a_branch_or_address_that_is_not_there_is_told(source: Source, tmp_path: Path) -> None:
    with pytest.raises(OverlayError, match="check its address and branch") as error:
        replace(source, branch="lost").newest()
    assert error.value.status is Exit.FAILED
    with pytest.raises(OverlayError):
        replace(source, address=(tmp_path / "lost").as_uri()).newest()


def test_a_huge_file_is_refused(source: Source, upstream: Upstream, tmp_path: Path) -> None:
    upstream.write({"app-misc/leaf/files/huge": "0" * (9 << 20)})
    listing = source.listing(source.newest())
    wanted = {"app-misc/leaf/files/huge": listing["app-misc/leaf/files/huge"]}
    with pytest.raises(OverlayError, match="larger than 8 MiB"):
        source.contents(wanted, tmp_path)


def test_submodules_are_not_taken(source: Source, upstream: Upstream) -> None:
    commit = upstream.git("rev-parse", "HEAD")
    upstream.git("update-index", "--add", "--cacheinfo", f"160000,{commit},app-misc/leaf/module")
    upstream.git("commit", "--quiet", "--message=module")
    assert "app-misc/leaf/module" not in source.listing(source.newest())


@pytest.mark.parametrize(
    "path",
    [
        "app-misc/leaf/files/a\nb",
        "app-misc/leaf/files/a\x1b[31m",
        "app-misc/leaf/files/\u202egnp.exe",
        "app-misc/leaf/files/\udcff",
        "app-misc/leaf/../../x",
        "app-misc/leaf/.GIT/config",
        "app-misc/leaf/" + "x" * 300,
        "a/" * 20 + "x",
    ],
    ids=ascii,
)
def test_names_that_no_repository_has_are_refused(path: str) -> None:
    with pytest.raises(OverlayError) as error:
        check_names("thicket", {path: Entry(REGULAR, "0" * 40)})
    assert str(error.value).isprintable()


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../../etc/passwd", "lost", "a\x1bb"])
def test_links_must_lead_to_what_is_taken(target: str) -> None:
    files = {"a/b/files/link": File(LINK, target.encode())}
    with pytest.raises(OverlayError, match="link to"):
        check_links("thicket", files)


def test_links_inside_are_kept() -> None:
    files = {"a/b/b-2.ebuild": File(LINK, b"b-1.ebuild"), "a/b/b-1.ebuild": File(REGULAR, b"")}
    check_links("thicket", files)
