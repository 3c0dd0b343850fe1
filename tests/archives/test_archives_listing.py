"""Listings of archives: the lines of tar(1)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cloche.archives.listing import listing


def test_it_is_what_tar_lists(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d with space").mkdir(parents=True)
    (tree / "file").write_text("x" * 12_345)
    (tree / "file").chmod(0o4755)
    os.link(tree / "file", tree / "hard")
    (tree / "link").symlink_to("../away")
    os.mkfifo(tree / "fifo", 0o600)
    (tree / "new\nline\\é").touch()
    Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).touch()
    os.setxattr(tree / "d with space", "user.note", b"here")
    tar = tmp_path / "tree.tar.gz"
    subprocess.run(
        ["tar", "--create", "--gzip", "--xattrs", "--format=posix", "--sort=name",
         "--numeric-owner", "--owner=123456:7", "--group=89:8", "--file", tar, "-C", tree, "."],
        check=True,
    )  # fmt: skip
    told = subprocess.run(
        ["tar", "--xattrs", "--numeric-owner", "-tvf", tar],
        env={"TZ": "UTC", "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        capture_output=True,
        check=True,
    )
    assert list(listing(tar)) == told.stdout.splitlines()
    assert len(told.stdout.splitlines()) == 8
