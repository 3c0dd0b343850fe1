from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support import make_device

from cloche.layers import PORTAGE_RULES, commit, layer_id, matcher, stored_layer
from cloche.store import Store, exact_digest, verify, walk

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1,
                max_size=8).filter(lambda name: name not in (".", ".."))  # fmt: skip
TREES = st.dictionaries(
    NAMES,
    st.one_of(st.binary(max_size=20), st.none(), st.dictionaries(NAMES, st.binary(), max_size=4)),
    max_size=6,
)


def build(root: Path, content: dict[str, object], dice: random.Random) -> None:
    root.mkdir()
    root.chmod(0o755)
    items = list(content.items())
    dice.shuffle(items)
    for name, value in items:
        path = root / name
        if isinstance(value, dict):
            build(path, value, dice)
        elif value is None:
            path.symlink_to("target")
        else:
            path.write_bytes(value)  # type: ignore[arg-type]
            os.utime(path, (dice.random() * 1e9,) * 2)


@settings(max_examples=40, deadline=None)
@given(content=TREES, seed=st.integers())
def test_an_id_knows_neither_times_nor_the_order_of_making(tmp_path_factory, content, seed) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("id")
    dice = random.Random(seed)
    build(room / "a", content, dice)
    build(room / "b", content, dice)
    assert layer_id(room / "a", {}) == layer_id(room / "b", {})


@settings(max_examples=40, deadline=None)
@given(one=TREES, two=TREES)
def test_different_trees_have_different_ids(tmp_path_factory, one, two) -> None:  # type: ignore[no-untyped-def]
    room = tmp_path_factory.mktemp("id")
    dice = random.Random(0)
    build(room / "a", one, dice)
    build(room / "b", two, dice)
    assert (layer_id(room / "a", {}) == layer_id(room / "b", {})) == (one == two)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "dir/empty").mkdir(parents=True)
    (root / "dir/file").write_text("content")
    (root / "same").write_text("content")
    (root / "also").hardlink_to(root / "same")
    (root / "link").symlink_to("dir")
    os.mknod(root / "gone", 0o020000, 0)
    make_device(root / "null", 3)
    return root


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "dir/file").write_text("Content"),
    "mode": lambda root: (root / "dir/file").chmod(0o4644),
    "mode of a directory": lambda root: (root / "dir/empty").chmod(0o700),
    "mode of the root": lambda root: root.chmod(0o700),
    "owner": lambda root: os.chown(root / "dir/file", 1, 0),
    "group of a link": lambda root: os.lchown(root / "link", 0, 1),
    "attribute": lambda root: os.setxattr(root / "dir/file", "user.a", b"b"),
    "opaque": lambda root: os.setxattr(root / "dir", "user.overlay.opaque", b"y"),
    "target": lambda root: replace(root / "link", lambda p: p.symlink_to("dir/")),
    "name": lambda root: (root / "dir/file").rename(root / "dir/fil"),
    "type": lambda root: replace(root / "gone", os.mkfifo),
    "whiteout": lambda root: (root / "gone").unlink(),
    "device": lambda root: replace(root / "null", lambda p: make_device(p, 5)),
    "hard link": lambda root: replace(root / "same", lambda p: p.write_text("content")),
    "empty directory": lambda root: (root / "dir/empty").rmdir(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_id_knows_all_that_matters(root: Path, change: str) -> None:
    before, exact = layer_id(root, PORTAGE_RULES), exact_digest(walk(root))
    CHANGES[change](root)
    assert layer_id(root, PORTAGE_RULES) != before
    assert exact_digest(walk(root)) != exact


def test_an_id_does_not_know_what_overlayfs_and_the_host_add(root: Path) -> None:
    before = layer_id(root, {})
    os.setxattr(root / "dir", "user.overlay.origin", b"1")
    os.setxattr(root / "dir/file", "trusted.overlay.origin", b"1")
    os.chown(root / "gone", 1, 1)
    assert layer_id(root, {}) == before


def test_whiteouts_that_overlayfs_made_as_links_of_one_are_like_any(root: Path) -> None:
    os.mknod(root / "went", 0o020000, 0)
    before = layer_id(root, {})
    (root / "went").unlink()
    (root / "went").hardlink_to(root / "gone")
    assert layer_id(root, {}) == before


def test_a_rule_that_leaves_out_the_first_name_of_an_inode_keeps_the_links(root: Path) -> None:
    rules = {"also": lambda content: None}
    (root / "third").hardlink_to(root / "same")
    before = layer_id(root, rules)
    (root / "also").unlink()
    assert layer_id(root, rules) == before
    (root / "third").unlink()
    (root / "third").write_text("content")
    assert layer_id(root, rules) != before


VDB = {
    "COUNTER": "17\n",
    "BUILD_TIME": "1700000000\n",
    "BINPKGMD5": "0\n",
    "SLOT": "0\n",
    "NEEDED": "/usr/bin/b libc.so.6\n/usr/bin/a libc.so.6\n",
    "NEEDED.ELF.2": "X86_64;/usr/bin/b;;;libc.so.6\nX86_64;/usr/bin/a;;;libc.so.6\n",
    "CONTENTS": "dir /usr/a 1\nobj /usr/my file 2 aaaa 1700000000\nsym /usr/l 1 -> my file 2 170\n"
    "fif /usr/f 3\n",
    "jq-1.ebuild": "# Copyright 2025\n\nEAPI=8\n  # why\nSLOT=0\n",
}
SAME = {
    "COUNTER": "18\n",
    "BUILD_TIME": "1700000001\n",
    "BINPKGMD5": "1\n",
    "NEEDED": "/usr/bin/a libc.so.6\n/usr/bin/b libc.so.6\n",
    "NEEDED.ELF.2": "X86_64;/usr/bin/a;;;libc.so.6\nX86_64;/usr/bin/b;;;libc.so.6\n",
    "CONTENTS": "dir /usr/a 1\nobj /usr/my file 2 aaaa 1800000000\nsym /usr/l 1 -> my file 2 180\n"
    "fif /usr/f 3\n",
    "jq-1.ebuild": "# Copyright 2026\nEAPI=8\n\nSLOT=0\n",
}
OTHER = [
    ("SLOT", "1\n"),
    ("NEEDED", "/usr/bin/a libc.so.6\n"),
    ("CONTENTS", VDB["CONTENTS"].replace("aaaa", "aaab")),
    ("CONTENTS", VDB["CONTENTS"].replace("dir /usr/a 1", "dir /usr/a 2")),
    ("CONTENTS", VDB["CONTENTS"].replace("fif /usr/f 3", "fif /usr/f 4")),
    ("CONTENTS", VDB["CONTENTS"].replace("my file 2 170", "my file 3 170")),
    ("CONTENTS", VDB["CONTENTS"].replace("obj /usr/my file 2", "obj /usr/my file 3")),
    ("jq-1.ebuild", VDB["jq-1.ebuild"].replace("SLOT=0", "SLOT=1")),
]


@pytest.fixture
def vdb(tmp_path: Path) -> Path:
    entry = tmp_path / "layer/var/db/pkg/app-misc/jq-1"
    entry.mkdir(parents=True)
    for name, content in VDB.items():
        (entry / name).write_text(content)
    (tmp_path / "layer/etc/portage").mkdir(parents=True)
    (tmp_path / "layer/etc/portage/mirrors").write_text("local here\n")
    return entry


@pytest.mark.parametrize("name", SAME)
def test_known_noise_of_portage_does_not_count(tmp_path: Path, vdb: Path, name: str) -> None:
    before = layer_id(tmp_path / "layer", PORTAGE_RULES)
    assert layer_id(tmp_path / "layer", {}) != before
    (vdb / name).write_text(SAME[name])
    (vdb.parents[4] / "etc/portage/mirrors").unlink()
    assert layer_id(tmp_path / "layer", PORTAGE_RULES) == before


@pytest.mark.parametrize(("name", "content"), OTHER)
def test_all_else_in_the_vdb_counts(tmp_path: Path, vdb: Path, name: str, content: str) -> None:
    assert content != VDB[name]
    before = layer_id(tmp_path / "layer", PORTAGE_RULES)
    (vdb / name).write_text(content)
    assert layer_id(tmp_path / "layer", PORTAGE_RULES) != before


def test_commit_puts_a_layer_into_the_store_once(tmp_path: Path, root: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        layers = []
        for label in ("first", "second"):
            with store.workspace("merge") as room:
                shutil.copytree(root / "dir", room / "layer", symlinks=True)
                os.utime(room / "layer/file", (len(label), 0))
                layers.append(commit(store, room / "layer", kind="package", label=label))
        assert layers[0] == layers[1] == stored_layer(store, layers[0].id)
        assert (layers[0].label, layers[0].files, layers[0].size) == ("first", 1, 7)
        assert verify(store).ok


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("etc/*.env", ["etc/a.env"], ["etc/a/b.env", "etc/env", "x/etc/a.env"]),
        ("var/db/pkg/*/*/COUNTER", ["var/db/pkg/a/b/COUNTER"], ["var/db/pkg/a/COUNTER"]),
        ("a?c", ["abc"], ["a/c", "ac"]),
        ("[!a]b", ["xb"], ["ab", "/b"]),
        ("[a^-c]x", ["^x", "ax"], ["[x"]),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax", "x/a"]),
        ("a.b", ["a.b"], ["axb"]),
        ("[", ["["], ["x"]),
        ("[b-a]", ["[b-a]"], ["a", "b"]),
        ("/tmp/", ["tmp"], ["tmp/a"]),
        ("*", ["a\nb"], ["a/b"]),
    ],
)
def test_patterns_stay_within_components(
    pattern: str, matching: list[str], other: list[str]
) -> None:
    matches = matcher([pattern])
    assert all(matches(name.encode()) for name in matching)
    assert not any(matches(name.encode()) for name in other)
    assert matcher([pattern], below=True)(matching[0].encode() + b"/below/it")
    assert not matcher([])(b"x")
