from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.layers.made import LAYER, LAYERS, make_stack

from cloche.layers import (
    LayerError,
    capture,
    compare,
    flatten,
    layer_id,
    merge_layers,
    merged,
)
from cloche.store import UnreadableTreeError
from cloche.store.removal import remove_tree


def without_vain_whiteouts(lowers: list[Path]) -> None:
    """Take out whiteouts that hide nothing, which no capture leaves behind.

    The kernel lists those (and then finds nothing there) in a directory that one layer alone has.
    """
    for number, lower in enumerate(lowers):
        for path in sorted(lower.rglob("*")):
            name = os.fsencode(path.relative_to(lower))
            opaque = any(
                b"user.overlay.opaque" in map(os.fsencode, os.listxattr(parent))
                for parent in path.parents
                if lower in parent.parents
            )
            hides = not opaque and merged(lowers[:number]).lookup(name) is not None
            if path.is_char_device() and not hides:
                path.unlink()


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(layers=LAYERS)
def test_a_flat_tree_shows_what_the_stack_shows(tmp_path_factory, layers) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("stack")
    lowers = make_stack(room, layers)
    count = flatten(lowers, room / "flat")
    flatten(lowers, room / "copy", link=False)
    view = merged(lowers)
    nodes = list(view.walk())
    assert count == len(nodes)
    for node in nodes:
        found = view.lookup(node.path)
        assert found is not None
        assert (found.origin, found.parts) == (node.origin, node.parts)
    assert compare(lowers, room / "flat").equal
    assert compare(lowers, room / "copy").equal


@pytest.mark.real
@settings(max_examples=12, deadline=None)
@given(layers=st.lists(LAYER, min_size=2, max_size=4))
def test_the_kernel_reads_a_stack_as_we_do(tmp_path_factory, layers) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("stack")
    lowers = make_stack(room, layers)
    without_vain_whiteouts(lowers)
    (room / "root").mkdir()
    chain = ":".join(str(lower) for lower in reversed(lowers))
    script = f"mount -t overlay -o ro,userxattr,lowerdir={chain} x {room}/root"
    command = f"{script} && cp -a {room}/root {room}/copy"
    subprocess.run(["unshare", "-m", "sh", "-c", command], check=True)
    found = compare(lowers, room / "copy")
    assert found.equal, found.text()


def test_attributes_come_from_the_topmost_directory(tmp_path: Path) -> None:
    for name, mode in (("low", 0o755), ("high", 0o2750)):
        (tmp_path / name / "d").mkdir(parents=True)
        (tmp_path / name / "d" / name).touch()
        (tmp_path / name / "d").chmod(mode)
    os.chown(tmp_path / "high/d", 7, 8)
    (tmp_path / "high/d").chmod(0o2750)
    os.setxattr(tmp_path / "high/d", "user.a", b"b")
    os.utime(tmp_path / "high/d", (5, 5))
    flatten([tmp_path / "low", tmp_path / "high"], tmp_path / "flat")
    info = (tmp_path / "flat/d").stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime) == (0o2750, 7, 8, 5)
    assert os.getxattr(tmp_path / "flat/d", "user.a") == b"b"
    assert (tmp_path / "flat/d/low").stat().st_ino == (tmp_path / "low/d/low").stat().st_ino


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK])
def test_what_cannot_be_linked_is_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    low = tmp_path / "low"
    low.mkdir()
    (low / "a").write_text("x")
    (low / "a").chmod(0o4711)
    (low / "b").hardlink_to(low / "a")
    (low / "l").symlink_to("a")
    os.mkfifo(low / "fifo")
    real = os.link

    def link(source: bytes, target: bytes, **more: bool) -> None:
        if source.startswith(os.fsencode(low)):
            raise OSError(code, os.strerror(code))
        real(source, target, **more)

    monkeypatch.setattr(os, "link", link)
    flatten([low], tmp_path / "flat")
    assert compare(low, tmp_path / "flat").equal
    assert (tmp_path / "flat/a").stat().st_ino == (tmp_path / "flat/b").stat().st_ino
    assert (tmp_path / "flat/a").stat().st_mtime_ns == (low / "a").stat().st_mtime_ns


def test_any_other_failure_to_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "low").mkdir()
    (tmp_path / "low/a").touch()

    def link(*arguments: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="full"):
        flatten([tmp_path / "low"], tmp_path / "flat")


def test_an_empty_stack_has_nothing(tmp_path: Path) -> None:
    assert merged([]).lookup(b"etc") is None
    assert list(merged([]).walk()) == []


def test_nothing_lies_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert merged([tmp_path]).lookup(b"file/x") is None
    assert merged([tmp_path]).lookup(b"none/x/y") is None


def test_a_path_that_the_kernel_cannot_take_is_told(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=fd)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    with pytest.raises(LayerError, match=r"a path of (3[89]|4\d)\d\d bytes is too long"):
        list(merged([tmp_path]).walk())
    remove_tree(tmp_path)


def test_a_tree_of_any_depth_is_merged_and_one_too_deep_for_a_layer_is_told(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    fd = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    assert sum(1 for _ in merged([deep]).walk()) == 1201
    assert flatten([deep], tmp_path / "flat") == 1201
    assert merge_layers([deep, deep], tmp_path / "layer") == 1201
    assert compare(deep, tmp_path / "layer").equal
    with pytest.raises(UnreadableTreeError, match="too deep for a layer"):
        layer_id(deep, {})
    with pytest.raises(UnreadableTreeError, match="too deep for a layer"):
        capture(deep, [], tmp_path / "captured")
    for name in ("deep", "flat", "layer"):
        remove_tree(tmp_path / name)
