from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from cloche.store.tree import (
    Entry,
    exact_digest,
    measure,
    read_file,
    record,
    walk,
)


def listing(root: Path) -> dict[bytes, Entry]:
    return {entry.path: entry for entry in walk(root)}


def test_a_walk_tells_all_that_a_tree_is(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "b").write_text("content")
    (root / "b").chmod(0o4711)
    os.chown(root / "b", 250, 251)
    (root / "b").chmod(0o4711)
    (root / "a").hardlink_to(root / "b")
    os.setxattr(root / "b", "user.mark", b"1")
    os.setxattr(root / "b", "user.overlay.origin", b"1")
    (root / "dir").mkdir()
    os.setxattr(root / "dir", "user.overlay.opaque", b"y")
    (root / "dir/link").symlink_to("/etc/passwd")
    os.mknod(root / "gone", 0o020000, 0)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(root / "sock"))
    (root / os.fsdecode(b"\xff\n")).touch()
    found = listing(root)
    assert list(found) == [
        b"", b"a", b"b", b"dir", b"dir/link", b"fifo", b"gone", b"sock", b"\xff\n",
    ]  # fmt: skip
    assert (found[b"a"].mode, found[b"a"].uid, found[b"a"].gid) == (0o4711, 250, 251)
    assert found[b"b"].link == b"a"
    assert found[b"b"].digest == found[b"a"].digest
    assert found[b"a"].xattrs == ((b"user.mark", b"1"),)
    assert found[b"dir"].xattrs == ((b"user.overlay.opaque", b"y"),)
    assert found[b"dir/link"].target == b"/etc/passwd"
    assert found[b"gone"].whiteout
    assert (found[b"fifo"].type, found[b"sock"].type) == ("fifo", "socket")
    assert measure(found.values()) == (7, 7)


def test_large_files_are_read_by_threads(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / str(number)).write_bytes(b"%d" % (number % 2) * 300_000)
    digests = {entry.digest for entry in walk(tmp_path) if entry.type == "file"}
    assert len(digests) == 2
    assert all(digests)


def test_a_walk_without_content_reads_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert [entry.digest for entry in walk(tmp_path, content=False)] == [None, None]


def test_links_outside_of_a_tree_do_not_count(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root/file").touch()
    before = exact_digest(walk(tmp_path / "root"))
    (tmp_path / "other").hardlink_to(tmp_path / "root/file")
    assert exact_digest(walk(tmp_path / "root")) == before


def test_a_tree_cannot_lead_its_reader_out(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("host")
    root = tmp_path / "root"
    (root / "dir").mkdir(parents=True)
    (root / "dir/file").write_text("inside")
    (root / "link").symlink_to(tmp_path)
    (root / "file").symlink_to(tmp_path / "secret")
    assert read_file(root, b"dir/file") == b"inside"
    for path in (b"link/secret", b"file"):
        with pytest.raises(OSError, match=r"."):
            read_file(root, path)
    (tmp_path / "alias").symlink_to(root)
    with pytest.raises(OSError, match=r"."):
        walk(tmp_path / "alias")


def test_no_two_records_read_alike(tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()
    one = listing(tmp_path)[b"file"]
    records = [
        record(one),
        record(one, 1),
        record(replace(one, path=b"ab", target=b"")),
        record(replace(one, path=b"a", target=b"b")),
        record(replace(one, path=b"a", link=b"b")),
        record(replace(one, path=b"a", target=b"-")),
        record(replace(one, path=b"a")),
        record(replace(one, xattrs=((b"ab", b"c"),))),
        record(replace(one, xattrs=((b"a", b"bc"),))),
        record(replace(one, mode=0o1111, uid=1)),
        record(replace(one, mode=0o111, uid=11)),
    ]
    assert len(set(records)) == len(records)
