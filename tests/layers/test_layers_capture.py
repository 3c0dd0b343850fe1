"""Capture from real overlay mounts, and from hand-made upper directories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support import make_device

from cloche.layers import (
    CaptureReport,
    LayerError,
    capture,
    compare,
    flatten,
    layer_id,
    merged,
)

DROP = ("etc/ld.so.cache", "etc/profile.env", "var/cache/edb", "var/log", "tmp", "var/tmp",
        "var/db/pkg/*/*/COUNTER")  # fmt: skip
OVERLAY_ATTRIBUTES = ("origin", "impure", "nlink", "upper", "uuid", "protattr", "redirect")


def tree(root: Path, files: dict[str, str | None]) -> Path:
    """Make files (None for an empty directory) below ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = root / name
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return root


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def written(room: Path, lowers: Sequence[Path], script: str) -> Path:
    """Run a shell script in a real overlay over ``lowers`` (bottom first) and give its upper."""
    for name in ("top", "work", "root"):
        (room / name).mkdir(parents=True, exist_ok=True)
    chain = ":".join(str(lower) for lower in reversed(lowers))
    options = f"userxattr,lowerdir={chain},upperdir={room}/top,workdir={room}/work"
    command = f"mount -t overlay -o {options} x {room}/root && cd {room}/root && set -e; {script}"
    subprocess.run(["unshare", "-m", "sh", "-c", command], check=True, cwd="/")
    return room / "top"


def captured(room: Path, lowers: Sequence[Path], script: str) -> tuple[Path, CaptureReport]:
    top = written(room, lowers, script)
    return room / "layer", capture(top, lowers, room / "layer", drop=DROP)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tree(
        tmp_path / "base",
        {
            "usr/bin/sh": "shell", "usr/lib/old/a": "a",
            "usr/lib/old/b": "b", "etc/conf": "x", "etc/same": "x",
            "etc/ld.so.cache": "cache", "var/log/emerge.log": "", "var/cache/edb/counter": "1",
            "var/db/pkg/app-misc/x-1/COUNTER": "1", "usr/empty": None,
        },
    )  # fmt: skip


@pytest.mark.real
def test_a_new_package_is_captured_without_the_overlays_own_marks(
    tmp_path: Path, base: Path
) -> None:
    layer, report = captured(
        tmp_path / "w",
        [base],
        """mkdir -p usr/share/jq/doc var/db/pkg/app-misc/jq-1 usr/keep; echo jq > usr/bin/jq
        echo doc > usr/share/jq/doc/README; echo new >> etc/conf; echo 7 > etc/ld.so.cache
        echo 5 > var/db/pkg/app-misc/jq-1/COUNTER; echo s > var/db/pkg/app-misc/jq-1/SLOT
        echo l >> var/log/emerge.log; echo 2 > var/cache/edb/counter; touch etc/profile.env""",
    )
    assert names(layer) == [
        "etc", "etc/conf", "usr", "usr/bin", "usr/bin/jq", "usr/keep", "usr/share", "usr/share/jq",
        "usr/share/jq/doc", "usr/share/jq/doc/README", "var", "var/db", "var/db/pkg",
        "var/db/pkg/app-misc", "var/db/pkg/app-misc/jq-1", "var/db/pkg/app-misc/jq-1/SLOT",
    ]  # fmt: skip
    for path in [layer, *layer.rglob("*")]:
        assert not [name for name in os.listxattr(path) if name.startswith("user.overlay")]
    assert set(report.dropped) == {
        "etc/ld.so.cache", "etc/profile.env", "var/cache/edb", "var/log",
        "var/db/pkg/app-misc/jq-1/COUNTER",
    }  # fmt: skip
    assert report.deleted == ()
    assert report.kept == 16


@pytest.mark.real
def test_what_was_touched_and_not_changed_is_left_out(tmp_path: Path, base: Path) -> None:
    layer, report = captured(
        tmp_path / "w",
        [base],
        "touch usr/bin/sh etc/conf; chmod 700 usr/empty; chmod 755 usr/empty; echo > var/log/x",
    )
    assert names(layer) == []
    assert report.unchanged >= 3


@pytest.mark.real
def test_changes_of_attributes_alone_are_kept(tmp_path: Path, base: Path) -> None:
    layer, _ = captured(tmp_path / "w", [base], "chmod 4755 usr/bin/sh; chown 5:5 usr/empty")
    assert names(layer) == ["usr", "usr/bin", "usr/bin/sh", "usr/empty"]
    assert (layer / "usr/bin/sh").stat().st_mode & 0o7777 == 0o4755


@pytest.mark.real
def test_deletions_and_replaced_directories_stay(tmp_path: Path, base: Path) -> None:
    layer, report = captured(
        tmp_path / "w",
        [base],
        """rm usr/bin/sh; rm -r usr/lib/old; mkdir usr/lib/old; echo c > usr/lib/old/c
        rm -r usr/empty; mkdir usr/empty; rm etc/ld.so.cache; rm -r var/cache/edb""",
    )
    assert report.deleted == ("usr/bin/sh", "usr/lib/old/a", "usr/lib/old/b")
    assert names(layer) == [
        "usr", "usr/bin", "usr/bin/sh", "usr/lib", "usr/lib/old", "usr/lib/old/a",
        "usr/lib/old/b", "usr/lib/old/c",
    ]  # fmt: skip
    assert os.listxattr(layer / "usr/lib/old") == []
    view = merged([base, layer])
    assert view.lookup(b"usr/lib/old/a") is None
    assert view.lookup(b"usr/lib/old/c") is not None
    assert view.lookup(b"usr/bin/sh") is None


@pytest.mark.real
def test_a_layer_does_not_tell_on_which_way_its_root_was_reached(
    tmp_path: Path, base: Path
) -> None:
    """Directories made again, files written again, links made again: only the outcome counts."""
    (base / "usr/one").write_text("1")
    (base / "usr/two").hardlink_to(base / "usr/one")
    ways = [
        "rm usr/lib/old/a; echo c > usr/lib/old/c",
        """cp -a usr/lib/old/b b; rm -r usr/lib; mkdir -p usr/lib/old; cp -a b usr/lib/old
        rm b; echo c > usr/lib/old/c""",
        """rm usr/lib/old/a; echo c > usr/lib/old/c; rm usr/one usr/two; printf 1 > usr/one
        ln usr/one usr/two""",
    ]
    layers = [captured(tmp_path / str(n), [base], script)[0] for n, script in enumerate(ways)]
    assert len({layer_id(layer, {}) for layer in layers}) == 1
    assert names(layers[0]) == ["usr", "usr/lib", "usr/lib/old", "usr/lib/old/a", "usr/lib/old/c"]


@pytest.mark.real
def test_a_layer_hides_nothing_but_what_was_there(tmp_path: Path, base: Path) -> None:
    """Over other lowers, a directory that was made again does not hide what they have more."""
    layer, _ = captured(tmp_path / "w", [base], "rm -r usr/lib; mkdir -p usr/lib/old; rm -r etc")
    other = tree(tmp_path / "other", {"usr/lib/old/more": "x", "usr/lib/more": "x"})
    view = merged([base, other, layer])
    assert view.lookup(b"usr/lib/old/more")
    assert view.lookup(b"usr/lib/more")
    assert view.lookup(b"usr/lib/old/a") is None
    assert view.lookup(b"etc") is None


@pytest.mark.real
def test_a_directory_in_the_place_of_a_file_needs_no_mark(tmp_path: Path, base: Path) -> None:
    layer, _ = captured(tmp_path / "w", [base], "rm etc/conf; mkdir etc/conf; echo > etc/conf/a")
    assert names(layer) == ["etc", "etc/conf", "etc/conf/a"]
    assert os.listxattr(layer / "etc/conf") == []
    assert merged([base, layer]).lookup(b"etc/conf/a") is not None


@pytest.mark.real
def test_hard_links_and_special_files_stay_as_they_are(tmp_path: Path, base: Path) -> None:
    layer, _ = captured(
        tmp_path / "w", [base], "echo a > usr/a; ln usr/a usr/b; mkfifo usr/fifo; ln -s a usr/l"
    )
    assert (layer / "usr/a").stat().st_ino == (layer / "usr/b").stat().st_ino
    assert names(layer) == ["usr", "usr/a", "usr/b", "usr/fifo", "usr/l"]


@pytest.mark.real
def test_a_root_of_captured_layers_equals_the_root_they_came_from(
    tmp_path: Path, base: Path
) -> None:
    """Three steps one upon the other show the same as the last overlay did."""
    steps = [
        "mkdir -p usr/share/x; echo 1 > usr/share/x/1; rm -r usr/lib/old; ln usr/bin/sh usr/bin/a",
        "rm usr/share/x/1; echo 2 > usr/share/x/2; mkdir -p usr/lib/old/new; chmod 1777 usr/empty",
        "rm -r usr/share/x; ln -s /usr/lib usr/share/x; echo y > etc/conf; touch etc/same",
    ]
    stack = [base]
    for number, script in enumerate(steps):
        room = tmp_path / str(number)
        top = written(room, stack, script)
        # Of a new mount: in one of a user namespace, a lower file's new name has another inode
        # number than the old one for as long as the mount lasts.
        written(room, stack, "cp -a . ../copy")
        capture(top, stack, room / "layer", drop=())
        found = compare([*stack, room / "layer"], room / "copy")
        assert found.equal, found.text()
        stack.append(room / "layer")
    flatten(stack, tmp_path / "flat")
    assert compare(stack, tmp_path / "flat").equal
    # The kernel agrees with our reading of the rules.
    written(tmp_path / "kernel", stack, "cp -a . ../copy")
    found = compare(stack, tmp_path / "kernel/copy")
    assert found.equal, found.text()


@pytest.mark.real
def test_a_hard_link_that_overlayfs_broke_is_whole_again(tmp_path: Path) -> None:
    base = tree(tmp_path / "base", {"a": "x"})
    (base / "b").hardlink_to(base / "a")
    layer, _ = captured(tmp_path / "w", [base], "touch a")
    assert names(layer) == []


def test_useless_marks_go(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"d/x": "1", "l": "x"})
    top = tree(tmp_path / "top", {"new/file": "1", "d": None})
    os.setxattr(top / "new", "user.overlay.opaque", b"y")
    os.setxattr(top / "new/file", "user.overlay.origin", b"y")
    os.mknod(top / "never-was", 0o020000, 0)
    report = capture(top, [lower], top)
    assert names(top) == ["new", "new/file"]
    assert os.listxattr(top / "new") == os.listxattr(top / "new/file") == []
    assert report == CaptureReport(kept=2, dropped=(), unchanged=1, deleted=())


def test_unchanged_copies_of_every_type_are_left_out_unless_kept(tmp_path: Path) -> None:
    for name in ("lower", "top", "again"):
        root = tree(tmp_path / name, {"file": "x"})
        (root / "link").symlink_to("file")
        os.mkfifo(root / "fifo")
        make_device(root / "null", 3)
    report = capture(tmp_path / "top", [tmp_path / "lower"], tmp_path / "out")
    assert (report.unchanged, names(tmp_path / "out")) == (4, [])
    capture(tmp_path / "again", [tmp_path / "lower"], tmp_path / "all", drop_unchanged=False)
    assert names(tmp_path / "all") == ["fifo", "file", "link", "null"]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p.write_text("y"),
        lambda p: p.write_text("longer"),
        lambda p: p.chmod(0o600),
        lambda p: os.chown(p, 1, 1),
        lambda p: os.setxattr(p, "user.a", b"b"),
        lambda p: (p.parent / "other").hardlink_to(p),
        lambda p: (p.unlink(), p.symlink_to("x")),
        lambda p: (p.unlink(), p.mkdir()),
    ],
)
def test_any_change_of_a_file_keeps_it(tmp_path: Path, change) -> None:  # type: ignore[no-untyped-def]
    lower = tree(tmp_path / "lower", {"file": "x"})
    top = tree(tmp_path / "top", {"file": "x"})
    change(top / "file")
    capture(top, [lower], top)
    assert "file" in names(top)


def test_a_changed_link_is_kept(tmp_path: Path) -> None:
    lower, top = tree(tmp_path / "lower", {}), tree(tmp_path / "top", {})
    (lower / "l").symlink_to("a")
    (top / "l").symlink_to("b")
    capture(top, [lower], top)
    assert names(top) == ["l"]


def test_a_directory_that_held_only_dropped_things_goes(tmp_path: Path) -> None:
    lower = tree(tmp_path / "lower", {"etc": None})
    top = tree(tmp_path / "top", {"a/b/tmp/x": "1", "a/b/tmp/y": "1", "empty/keep": None})
    report = capture(top, [lower], top, drop=["a/*/tmp"])
    assert report.dropped == ("a/b/tmp",)
    assert names(top) == ["empty", "empty/keep"]


def test_times_of_directories_survive(tmp_path: Path) -> None:
    top = tree(tmp_path / "top", {"d/tmp": "x", "d/keep": "x"})
    os.utime(top / "d", (1, 1))
    capture(top, [], top, drop=["d/tmp"])
    assert (top / "d").stat().st_mtime == 1


def test_a_missing_lower_is_named(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="missing") as caught:
        merged([tmp_path / "none"])
    assert caught.value.where == str(tmp_path / "none")
    assert caught.value.todo
