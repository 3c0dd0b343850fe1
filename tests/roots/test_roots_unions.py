"""Unions: which layers to merge, and the cache of what was merged."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloche.layers import (
    Layer,
    commit,
    compare,
    flatten,
)
from cloche.roots import unions
from cloche.store import Store, exact_digest, gc, usage, use_union, verify, walk
from cloche.store import unions as stored_unions
from cloche.store.sweep import sweep

SOURCE = Path(__file__).parents[2] / "src"


def made(store: Store, number: int, *, hide: Sequence[str] = ()) -> Layer:
    """A layer with a file of its own and one that all have."""
    with store.workspace("test") as room:
        entry = room / "layer/usr/share"
        entry.mkdir(parents=True)
        (entry / f"own{number}").write_text(str(number))
        (entry / "same").write_text(str(number))
        for name in hide:
            os.mknod(entry / name, 0o020000, 0)
        return commit(store, room / "layer", kind="package", label=f"x/p-{number}")


@given(
    count=st.integers(0, 40),
    known=st.sets(st.integers(1, 40), max_size=6),
    border=st.integers(3, 20),
    tail=st.integers(1, 2),
)
def test_what_is_merged_leaves_few_and_reuses_what_it_can(
    count: int, known: set[int], border: int, tail: int
) -> None:
    ids = [f"layer {n}" for n in range(count)]
    there = {unions.keys(ids)[n - 1] for n in known if n <= count}
    merged = unions.shared(ids, there, border=border, tail=tail)
    if count <= border:
        assert merged == 0
        return
    usable = [n for n in known if 1 < n <= count and count - n + 1 <= border]
    assert merged == (max(usable) if usable else count - tail)
    assert count - merged + 1 <= border


def test_the_order_and_every_id_are_in_a_key() -> None:
    assert len({unions.keys(ids)[-1] for ids in (["a", "b"], ["b", "a"], ["ab"], ["a", "b", "c"])})
    assert unions.keys(["a", "b", "c"])[:2] == unions.keys(["a", "b"])


def test_a_root_of_few_directories_shows_what_all_its_layers_show(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        base = made(store, 100)
        layers = [made(store, n) for n in range(4)]
        layers += [made(store, 4, hide=["own1", "own100"]), made(store, 5), made(store, 6)]
        for layer in (base, *layers):
            os.utime(layer.path / "usr", (1, 1))
        before = [exact_digest(walk(layer.path)) for layer in layers]
        few = unions.lowers(store, [base], layers, border=4, tail=2)
        assert len(few) == 1 + 1 + 2
        whole = [layer.path for layer in (base, *layers)]
        assert few[0] == base.path
        assert compare(few, whole).equal, compare(few, whole).text()
        assert (few[1] / "usr/share/same").stat().st_ino == (
            layers[4].path / "usr/share/same"
        ).stat().st_ino
        assert [exact_digest(walk(layer.path)) for layer in layers] == before
        assert verify(store).ok
        # The next stack, which is taller, has the same beginning.
        layers.append(made(store, 7))
        more = unions.lowers(store, [base], layers, border=4, tail=2)
        assert more == (*few, layers[-1].path)
        assert len(stored_unions(store)) == 1
        assert unions.lowers(store, [base], layers) == tuple(x.path for x in (base, *layers))


def test_a_union_is_dropped_with_its_layers_or_when_nobody_uses_it(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        layers = [made(store, n) for n in range(8)]
        store.pin("machine", [layer.id for layer in layers], [], {})
        unions.lowers(store, [], layers, border=2, tail=1)
        unions.lowers(store, [], layers[:4], border=2, tail=1)
        long, short = sorted(stored_unions(store), key=lambda union: -len(union.layers))
        assert (len(long.layers), len(short.layers)) == (7, 3)
        measured = {part.name: part for part in usage(store).parts}
        assert measured["unions"].count == 2
        assert measured["unions"].bytes < measured["package"].bytes
        assert gc(store).unions == ()
        os.utime(short.path / "layers", (time.time() - 8 * 86400,) * 2)
        assert gc(store, dry_run=True).unions == (short.key,)
        assert use_union(store, short.key) is not None  # which is young from then on
        assert gc(store).unions == ()
        store.pin("machine", [layer.id for layer in layers[:5]], [], {})
        assert gc(store).unions == (long.key,)
        assert [union.key for union in stored_unions(store)] == [short.key]
        store.remove(trees=[layers[0].id], blobs=[], actions=[])
        assert stored_unions(store) == []
        sweep(store)
        assert verify(store).ok


def test_no_union_outlives_a_damaged_layer(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store", exclusive=True) as store:
        layers = [made(store, n) for n in range(4)]
        unions.lowers(store, [], layers, border=2, tail=1)
        (layers[0].path / "usr/share/own0").write_text("damaged")
        assert verify(store, repair=True).ok
        assert stored_unions(store) == []


def test_a_union_that_somebody_broke_is_made_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        layers = [made(store, n) for n in range(4)]
        few = unions.lowers(store, [], layers, border=2, tail=1)
        few[0].rename(few[0].parent / "elsewhere")
        assert unions.lowers(store, [], layers, border=2, tail=1) == few
        assert compare(few, [layer.path for layer in layers]).equal


def test_a_union_of_another_boot_is_made_again(tmp_path: Path) -> None:
    """It may have been cut off on its way to the disk."""
    with Store.open(tmp_path / "store") as store:
        layers = [made(store, n) for n in range(4)]
        few = unions.lowers(store, [], layers, border=2, tail=1)
        inode = few[0].stat().st_ino
        assert unions.lowers(store, [], layers, border=2, tail=1)[0].stat().st_ino == inode
        (few[0].parent / "boot").write_text("another")
        (few[0] / "usr/share/own0").unlink()
        assert unions.lowers(store, [], layers, border=2, tail=1) == few
        assert compare(few, [layer.path for layer in layers]).equal


DRIVER = """
import sys
from pathlib import Path
from cloche.layers import stored_layer
from cloche.roots import unions
from cloche.store import Store

with Store.open(Path(sys.argv[1])) as store:
    layers = [stored_layer(store, id) for id in sys.argv[2:]]
    print(flush=True)
    for count in range(len(layers), 3, -1):
        unions.lowers(store, [], layers[:count], border=2, tail=1)
"""


@pytest.mark.real
def test_whatever_is_in_place_after_a_kill_is_whole(tmp_path: Path) -> None:
    dice = random.Random(1)
    with Store.open(tmp_path / "store") as store:
        layers = [made(store, n) for n in range(20)]
    paths = {layer.id: layer.path for layer in layers}
    seen = 0
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", DRIVER, tmp_path / "store", *paths],
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(dice.random() / 20)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        with Store.open(tmp_path / "store", exclusive=True) as store:
            assert list(store.tmp.iterdir()) == []
            there = stored_unions(store)
            seen += len(there)
            for union in there:
                whole = [paths[id] for id in union.layers]
                assert compare([union.path / "tree"], whole).equal
            store.drop_unions(there)
    assert seen


MOUNT = """
import os, sys
from pathlib import Path
from cloche.sandbox import userns
from cloche.layers import Layer, compare
from cloche.roots import mount_overlay, unions
from cloche.linux import mounts, processes
from cloche.store import Store

userns.enter()
processes.unshare(processes.CLONE_NEWNS)
mounts.make_private()
room = Path(sys.argv[1])
with Store.open(room / "store") as store:
    layers = []
    for number in range(520):
        entry = room / f"layers/{number}/usr/share"
        entry.mkdir(parents=True)
        for name in (f"own{number}", "same"):
            (entry / name).write_text(str(number))
        layers.append(Layer(f"{number:064}", entry.parent.parent, "package", "", 1, 1))
    few = unions.lowers(store, layers[:1], layers[1:])
    assert len(few) == 2 + unions.TAIL, len(few)
    for name in ("root", "top", "work"):
        (room / name).mkdir()
    mount_overlay(few, room / "root", top=room / "top", work=room / "work")
    found = compare([layer.path for layer in layers], room / "root", ignore=["usr/share/same"])
    assert found.equal, found.text()
    (room / "root/usr/share/same").write_text("changed")
    assert not any((layer.path / "usr/share/same").read_text() == "changed" for layer in layers)
"""


@pytest.mark.real
def test_more_layers_than_overlayfs_takes_are_one_root(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", MOUNT, tmp_path], env=environment, check=True)


def test_a_layer_that_comes_twice_counts_in_its_upper_place(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        base, one = made(store, 0), made(store, 1, hide=["own0", "own2"])
        stack = [base, one, made(store, 2), made(store, 3, hide=["own1"]), one]
        lowers = unions.lowers(store, stack[:1], stack[1:])
        assert lowers == tuple(layer.path for layer in (base, *stack[2:]))
        assert compare(lowers, [layer.path for layer in stack]).equal


@pytest.mark.parametrize("border", [2, 20], ids=["many", "few"])
def test_layers_can_appear_below_a_directory(tmp_path: Path, border: int) -> None:
    """What hides in them hides there too, and nothing of the base."""
    with Store.open(tmp_path / "store") as store:
        base = made(store, 1)
        layers = [made(store, 1), made(store, 2), made(store, 3, hide=["own1"])]
        placed = unions.lowers(store, [base], layers, border=border, tail=1, at="a/root")
        assert placed[0] == base.path
        assert len(placed) == (3 if border == 2 else 4)
        for each in placed[1:]:
            assert [path.name for path in each.iterdir()] == ["a"]
            assert each.stat().st_mode & 0o7777 == 0o755
        shown = tmp_path / "shown"
        flatten(placed, shown)
        assert compare([shown / "a/root"], [layer.path for layer in layers]).equal
        assert (shown / "usr/share/own1").exists()
        assert unions.lowers(store, [base], layers, border=border, tail=1, at="a/root") == placed
        assert verify(store).ok
