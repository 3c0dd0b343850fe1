"""Subtracting, merging: what is put together again is what was taken apart."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.layers.made import CHANGES, LAYER, LAYERS, change, make_layer, make_stack

from cloche.layers import capture, compare, flatten, layer_id, merge_layers, merged, subtract


def names(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def tree(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


@settings(max_examples=150, deadline=None)
@given(layers=LAYERS, changes=CHANGES)
def test_the_difference_over_the_stack_is_the_tree(tmp_path_factory, layers, changes) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("subtract")
    stack = make_stack(room, layers)
    flatten(stack, room / "tree", link=False)
    change(room / "tree", changes)
    report = subtract(room / "tree", stack, room / "layer")
    found = compare([*stack, room / "layer"], room / "tree")
    assert found.equal, found.text()
    assert report.kept == len(names(room / "layer"))
    again = subtract([*stack, room / "layer"], stack, room / "again", link=True)
    assert layer_id(room / "again", {}) == layer_id(room / "layer", {})
    assert (again.kept, again.deleted) == (report.kept, report.deleted)
    nothing = subtract(room / "tree", [*stack, room / "layer"], room / "nothing")
    assert (nothing.kept, names(room / "nothing")) == (0, [])


@settings(max_examples=150, deadline=None)
@given(below=LAYERS, layers=st.lists(LAYER, min_size=1, max_size=4))
def test_a_merged_layer_does_what_its_layers_do_over_anything(  # type: ignore[no-untyped-def]
    tmp_path_factory, below, layers
) -> None:
    room = tmp_path_factory.mktemp("merge")
    stack = make_stack(room, below)
    above = [make_layer(room / f"x{n}", items, bottom=False) for n, items in enumerate(layers)]
    for link in (True, False):
        count = merge_layers(above, room / f"one{link}", link=link)
        assert count == len(names(room / f"one{link}")) + 1
        found = compare([*stack, *above], [*stack, room / f"one{link}"])
        assert found.equal, found.text()
    assert layer_id(room / "oneTrue", {}) == layer_id(room / "oneFalse", {})


@pytest.mark.real
@settings(max_examples=10, deadline=None)
@given(layers=LAYERS, changes=CHANGES)
def test_the_kernel_shows_the_tree_as_well(tmp_path_factory, layers, changes) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("kernel")
    stack = make_stack(room, layers)
    flatten(stack, room / "below", link=False)
    flatten(stack, room / "tree", link=False)
    change(room / "tree", changes)
    subtract(room / "tree", [room / "below"], room / "layer")
    (room / "root").mkdir()
    mount = f"mount -t overlay -o ro,userxattr,lowerdir={room}/layer:{room}/below x {room}/root"
    command = f"{mount} && cp -a {room}/root {room}/copy"
    subprocess.run(["unshare", "-m", "sh", "-c", command], check=True)
    found = compare(room / "copy", room / "tree")
    assert found.equal, found.text()


def test_only_what_is_new_and_the_way_to_it_is_in_the_layer(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"a/x": "1", "a/y": "1", "b/z": "1", "f": "1", "d/gone/x": "1"})
    top = tree(tmp_path / "top", {"a/x": "2", "a/y": "1", "b/z": "1", "f/in": "1", "d/k": "1"})
    os.utime(top / "b/z", (1, 1))
    report = subtract(top, [low], tmp_path / "layer")
    assert names(tmp_path / "layer") == ["a", "a/x", "d", "d/gone", "d/k", "f", "f/in"]
    assert (report.deleted, report.kept, report.dropped) == (("d/gone",), 7, ())
    assert not os.listxattr(tmp_path / "layer/f")


def test_what_is_dropped_is_neither_kept_nor_hidden(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"tmp/old": "1", "etc/conf": "1"})
    top = tree(tmp_path / "top", {"new/tmp/x": "1", "new/tmp/y/z": "1", "etc/conf": "2", "e/f": ""})
    report = subtract(top, [low], tmp_path / "layer", drop=["**/tmp"])
    assert names(tmp_path / "layer") == ["e", "e/f", "etc", "etc/conf"]
    assert (report.deleted, report.dropped) == ((), ("new/tmp",))


def test_a_name_of_a_shared_inode_that_went_takes_no_other_along(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"a": "1"})
    (low / "b").hardlink_to(low / "a")
    top = tree(tmp_path / "top", {"a": "1"})
    report = subtract(top, [low], tmp_path / "layer")
    assert (names(tmp_path / "layer"), report.deleted) == (["b"], ("b",))


def test_names_that_only_the_tree_links_are_in_the_layer_together(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"a": "1", "b": "1", "c": "1", "d": "1"})
    top = tree(tmp_path / "top", {"a": "1", "c": "1", "d": "2"})
    (top / "b").hardlink_to(top / "a")
    (top / "new").hardlink_to(top / "c")
    subtract(top, [low], tmp_path / "layer")
    assert names(tmp_path / "layer") == ["a", "b", "c", "d", "new"]
    assert compare([low, tmp_path / "layer"], top).equal


def test_names_that_only_the_stack_links_come_apart(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"a": "1"})
    (low / "b").hardlink_to(low / "a")
    (low / "c").hardlink_to(low / "a")
    top = tree(tmp_path / "top", {"a": "1", "b": "1"})
    (top / "c").hardlink_to(top / "b")
    subtract(top, [low], tmp_path / "layer")
    assert names(tmp_path / "layer") == ["b", "c"]
    assert compare([low, tmp_path / "layer"], top).equal


def test_the_layer_can_share_the_files_of_the_tree(tmp_path: Path) -> None:
    top = tree(tmp_path / "top", {"a": "1"})
    subtract(top, [], tmp_path / "links", link=True)
    subtract(top, [], tmp_path / "copies")
    assert (tmp_path / "links/a").stat().st_ino == (top / "a").stat().st_ino
    assert (tmp_path / "copies/a").stat().st_ino != (top / "a").stat().st_ino


def test_a_difference_is_what_a_capture_would_be(tmp_path: Path) -> None:
    low = tree(tmp_path / "low", {"a/x": "1", "a/y": "1", "b": "1"})
    top = tree(tmp_path / "top", {"a/x": "2", "n/e/w": "1"})
    os.mknod(top / "a/y", 0o020000, 0)
    whole = tree(tmp_path / "tree", {"a/x": "2", "n/e/w": "1", "b": "1"})
    told = subtract(whole, [low], tmp_path / "layer")
    captured = capture(top, [low], tmp_path / "captured")
    assert layer_id(tmp_path / "layer", {}) == layer_id(tmp_path / "captured", {})
    assert (told.kept, told.deleted) == (captured.kept, captured.deleted)


def test_a_directory_over_a_file_stays_one_when_layers_are_merged(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "1", {"d": "file"}), tree(tmp_path / "2", {"d/x": "1"})
    below = tree(tmp_path / "0", {"d/hidden": "1"})
    merge_layers([first, second], tmp_path / "one")
    assert os.getxattr(tmp_path / "one/d", "user.overlay.opaque") == b"y"
    assert merged([below, tmp_path / "one"]).lookup(b"d/hidden") is None


def test_a_merged_layer_hides_nothing_twice(tmp_path: Path) -> None:
    first = tree(tmp_path / "1", {"d/a/x": "1", "d/b": "1"})
    os.setxattr(first / "d", "user.overlay.opaque", b"y")
    second = tree(tmp_path / "2", {"d/a/y": "1"})
    for path in (second / "d/b", second / "d/a/x"):
        os.mknod(path, 0o020000, 0)
    os.setxattr(second / "d/a", "user.overlay.opaque", b"y")
    merge_layers([first, second], tmp_path / "one")
    assert names(tmp_path / "one") == ["d", "d/a", "d/a/y"]
    assert not os.listxattr(tmp_path / "one/d/a")


def test_holes_stay_holes_in_copies(tmp_path: Path) -> None:
    low = tmp_path / "low"
    low.mkdir()
    with (low / "sparse").open("wb") as file:
        file.seek(64 << 20)
        file.write(b"end")
        file.truncate(128 << 20)
    flatten([low], tmp_path / "copy", link=False)
    assert compare(low, tmp_path / "copy").equal
    assert (tmp_path / "copy/sparse").stat().st_blocks * 512 < 1 << 20
