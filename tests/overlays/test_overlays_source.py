"""A partial clone fetches what is asked for, and refuses what no repository of ebuilds has."""

from __future__ import annotations

import subprocess
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest
from tests.overlays.published import Upstream

from cloche.errors import Exit
from cloche.overlays.content import File, check_links, check_names, write_files
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


def test_no_commit_or_branch_is_an_option_of_git(source: Source, tmp_path: Path) -> None:
    planted = tmp_path / "planted"
    option = f"--upload-pack=touch {planted};git-upload-pack"
    with pytest.raises(OverlayError, match="not the name of a commit"):
        source.ensure(option)
    with pytest.raises(OverlayError):
        source._fetch("--", option)
    with pytest.raises(OverlayError):
        replace(source, branch=option).newest()
    assert not planted.exists()


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


ESCAPE = {
    "l1": File(LINK, b"a/b"),  # to somewhere deep
    "x": File(LINK, b"l1/../../etc/cron.d"),  # which is not what it looks like
    "etc/cron.d/y": File(REGULAR, b""),
    "a/b/y": File(REGULAR, b""),
}


def test_links_through_links_are_refused() -> None:
    with pytest.raises(OverlayError, match="x is a link to"):
        check_links("thicket", ESCAPE)
    for target in (b"../..", b"a/b/c/../y", b"l1/y", b"a/b/y/", b"a/b/y/.."):
        with pytest.raises(OverlayError, match="x is a link to"):
            check_links("thicket", {**ESCAPE, "x": File(LINK, target)})
    for target in (b"a/b", b"a/b/", b"a/b/../../etc/cron.d/y", b"a/b/y", b"l1"):
        check_links("thicket", {**ESCAPE, "x": File(LINK, target)})


@pytest.mark.parametrize("mode", [LINK, REGULAR])
def test_nothing_is_written_below_what_is_no_directory(mode: str, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    target = b"../outside" if mode == LINK else b""
    files = {"x": File(mode, target), "x/y": File(REGULAR, b"planted")}
    with pytest.raises(OverlayError, match="below a path that is no directory"):
        check_links("thicket", files)
    with pytest.raises(FileExistsError):
        write_files(tmp_path / "tree", files)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_tree_with_two_entries_of_a_name_is_refused(source: Source, upstream: Upstream) -> None:
    blob = upstream.git("rev-parse", "HEAD:README.md")
    inner = upstream.tree("100644 y\0", blob)
    tree = upstream.tree("120000 x\0", blob, "40000 x\0", inner)
    commit = upstream.git("commit-tree", "-m", "work", tree)
    upstream.git("update-ref", "refs/heads/main", commit)
    assert source.newest() == commit
    with pytest.raises(OverlayError, match="'x/y' is below a path that is no directory"):
        source.listing(commit)


def test_links_inside_are_kept() -> None:
    files = {"a/b/b-2.ebuild": File(LINK, b"b-1.ebuild"), "a/b/b-1.ebuild": File(REGULAR, b"")}
    check_links("thicket", files)


class Asking(BaseHTTPRequestHandler):
    """Asks for a password, and notes what came and who shows it to all users of the host."""

    came: ClassVar[list[str]] = []
    shown: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                Asking.shown += [line for line in [file.read_bytes()] if b"pass word" in line]
                Asking.shown += [line for line in [file.read_bytes()] if b"pass%20word" in line]
        given = self.headers.get("Authorization", "")
        Asking.came.append(b64decode(given.removeprefix("Basic ")).decode())
        self.send_response(404 if given else 401)
        self.send_header("WWW-Authenticate", "Basic")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_a_password_is_on_no_command_line(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Asking) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://me:pass%20word@127.0.0.1:{server.server_port}/x"
        source = Source("thicket", address, "", SyncContext(tmp_path / "cache's"))
        try:
            with pytest.raises(OverlayError) as error:
                source.newest()
        finally:
            server.shutdown()
    assert "me:pass word" in Asking.came
    assert Asking.shown == []
    assert "word@" not in str(error.value)
    secret = [path for path in source.bare.rglob("*") if path.is_file() and "word@" in _text(path)]
    assert [path.stat().st_mode & 0o777 for path in secret] == [0o600]


def _text(path: Path) -> str:
    return path.read_text(errors="replace")
