"""Layers that were changed in their places: what a look before use finds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloche.store import Store, StoreError, Tree, check_tree, exact_digest, measure, walk


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    with Store.open(tmp_path / "store") as store, store.workspace("test") as room:
        source = room / "tree"
        (source / "usr/bin").mkdir(parents=True)
        (source / "usr/bin/tool").write_text("good")
        (source / "usr/bin/old").write_text("old")
        os.utime(source / "usr/bin/old", (0, 0))
        entries = walk(source)
        files, size = measure(entries)
        yield store.add_tree(
            source, id="a" * 64, kind="package", label="a/b-1",
            exact=exact_digest(entries), files=files, size=size,
        )  # fmt: skip


def edit(tree: Tree) -> None:
    (tree.path / "usr/bin/tool").write_text("evil")


def edit_and_set_time(tree: Tree) -> None:
    file = tree.path / "usr/bin/tool"
    times = file.stat()
    file.write_text("evil")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


def grow_and_set_time(tree: Tree) -> None:
    file = tree.path / "usr/bin/old"
    file.write_text("longer")
    os.utime(file, (0, 0))


def add(tree: Tree) -> None:
    (tree.path / "usr/bin/new").touch()


def remove(tree: Tree) -> None:
    (tree.path / "usr/bin/old").unlink()


def lose(tree: Tree) -> None:
    tree.path.rename(tree.path.with_name("b" * 64))


@pytest.mark.parametrize("change", [edit, grow_and_set_time, add, remove, lose])
def test_a_changed_layer_is_found(tree: Tree, change: Callable[[Tree], None]) -> None:
    change(tree)
    for how in ("quick", "all"):
        with pytest.raises(StoreError, match="layer of a/b-1 was changed"):
            check_tree(tree, how)
    check_tree(tree, "off")


def test_only_a_whole_look_finds_a_change_of_the_same_size_with_its_time_set_back(
    tree: Tree,
) -> None:
    edit_and_set_time(tree)
    check_tree(tree, "quick")  # the documented limit
    with pytest.raises(StoreError, match="was changed"):
        check_tree(tree, "all")


def test_a_layer_as_it_was_passes_even_with_times_of_the_future(tree: Tree) -> None:
    check_tree(tree, "quick")
    check_tree(tree, "all")
    older = Tree(*(getattr(tree, name) for name in ("id", "kind", "label", "exact")),
                 tree.files, tree.size, 0.0, tree.path)  # fmt: skip
    check_tree(older, "quick")  # what is young is read, and is as it was
