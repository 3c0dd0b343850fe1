"""Trees, blobs, sources and logs on their way from one store to another: whole, or refused."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import values

from cloche.layers import PORTAGE_RULES, Layer, commit, layer_id
from cloche.plan.depgraph import Distfile
from cloche.records.logs import new_log, put_away
from cloche.store import Store, StoreError, exact_digest, verify, walk
from cloche.tasks.distfiles import BadDistfileError, keep, path_of
from cloche.tasks.task import BuildTask, MergeTask
from cloche.tasks.transfer import bring_blobs, bring_distfiles, bring_inputs, bring_log, bring_trees


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "source") as store:
        yield store


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "target") as store:
        yield store


def rich(store: Store) -> Layer:
    """A layer with everything that a tree can have."""
    with store.workspace("rich") as room:
        tree = room / "tree"
        values.write_files(tree, {"usr/bin/su": "program", "etc/conf": "text", "opaque/in": "x"})
        (tree / "usr/bin/su").chmod(0o4755)
        os.setxattr(tree / "usr/bin/su", "user.note", b"\0 any")
        os.link(tree / "usr/bin/su", tree / "usr/bin/sg")
        os.link(tree / "usr/bin/su", tree / "etc/far")
        (tree / "bin").symlink_to("usr/bin")
        (tree / "dangling").symlink_to("/nowhere/\udcff")
        os.mknod(tree / "gone", stat.S_IFCHR, 0)
        os.link(tree / "gone", tree / "etc/gone")  # as overlayfs does with its whiteouts
        os.utime(tree / "gone", (1_000_000_000, 1_000_000_000))
        os.setxattr(tree / "opaque", "user.overlay.opaque", b"y")
        (tree / "opaque").chmod(0o1777)
        os.mkfifo(tree / "pipe")
        os.chown(tree / "etc/conf", 7, 8)
        os.utime(tree / "etc/conf", ns=(5, 1_000_000_007))
        return commit(store, tree, kind="package", label="c/rich-1")


def test_a_tree_arrives_as_it_was(source: Store, target: Store) -> None:
    layer = rich(source)
    bring_trees([layer.id], source, target)
    old, new = source.tree(layer.id), target.tree(layer.id)
    assert layer_id(new.path, PORTAGE_RULES) == layer.id
    assert exact_digest(walk(new.path)) == new.exact == old.exact
    assert (new.kind, new.label, new.files, new.size) == (old.kind, old.label, old.files, old.size)
    assert [(e.path, e.mtime_ns) for e in walk(new.path)] == [
        (e.path, e.mtime_ns) for e in walk(old.path)
    ]
    assert (new.path / "usr/bin/su").samefile(new.path / "etc/far")
    assert os.getxattr(new.path / "usr/bin/su", "user.note") == b"\0 any"
    assert os.getxattr(new.path / "opaque", "user.overlay.opaque") == b"y"
    assert (new.path / "gone").is_char_device()
    assert verify(target).ok


def test_the_stores_share_no_file(source: Store, target: Store) -> None:
    layer = rich(source)
    bring_trees([layer.id], source, target)
    old, new = ({e.inode for e in walk(s.tree(layer.id).path)} for s in (source, target))
    assert old.isdisjoint(new)


def test_what_is_there_stays_and_needs_no_source(source: Store, target: Store) -> None:
    layer = values.stored(target, "c/a-1", file="x")
    blob = values.blob(target, "x")
    inode = (target.tree(layer.id).path / "file").stat().st_ino
    bring_trees([layer.id, layer.id], source, target)
    bring_blobs([blob], source, target)
    assert (target.tree(layer.id).path / "file").stat().st_ino == inode


@pytest.mark.parametrize("change", ["content", "mode", "more", "gone", "xattr"])
def test_a_changed_tree_is_refused(source: Store, target: Store, change: str) -> None:
    layer = rich(source)
    tree = source.tree(layer.id).path
    if change == "content":
        (tree / "etc/conf").write_text("evil")
    elif change == "mode":
        (tree / "etc/conf").chmod(0o666)
    elif change == "more":
        (tree / "etc/new").touch()
    elif change == "gone":
        (tree / "gone").unlink()
    else:
        os.removexattr(tree / "opaque", "user.overlay.opaque")
    with pytest.raises(StoreError, match=layer.id[:16]) as caught:
        bring_trees([layer.id], source, target)
    assert str(caught.value.where) == str(source.path)
    assert not target.has_tree(layer.id)
    assert verify(target).ok


def test_a_changed_blob_is_refused(source: Store, target: Store) -> None:
    id = values.blob(source, "content")
    path = source.blob(id).path
    path.chmod(0o644)
    path.write_text("evil")
    with pytest.raises(StoreError):
        bring_blobs([id], source, target)
    assert not target.has_blob(id)


def test_what_the_other_store_has_not_is_an_error(source: Store, target: Store) -> None:
    for bring in (bring_trees, bring_blobs):
        with pytest.raises(StoreError):
            bring(["0" * 64], source, target)


def distfile(content: bytes) -> Distfile:
    return Distfile("a.tar", len(content), {"SHA512": hashlib.sha512(content).hexdigest()})


def test_sources_are_checked_on_the_way(source: Store, target: Store, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"source")
    file = distfile(b"source")
    keep(source, tmp_path / "a.tar", file)
    path_of(source, file).chmod(0o644)
    path_of(source, file).write_bytes(b"soured")
    with pytest.raises(BadDistfileError):
        bring_distfiles([file], source, target)
    assert not path_of(target, file).exists()
    path_of(source, file).write_bytes(b"source")
    bring_distfiles([file], source, target)
    assert path_of(target, file).read_bytes() == b"source"


def test_a_task_finds_all_that_it_names(source: Store, target: Store, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"source")
    file = distfile(b"source")
    keep(source, tmp_path / "a.tar", file)
    names = ("base", "layer", "repo")
    base, layer, repo = (values.stored(source, name, name, file=name).id for name in names)
    step = {"package": "c/a-1::r", "cpv": "c/a-1", "pf": "a-1", "repo": "r"}
    step |= {"base": (base,), "layers": (layer,), "repositories": {"r": repo}}  # type: ignore[dict-item]
    merge = MergeTask(**step, gpkg=values.blob(source, "gpkg"))  # type: ignore[arg-type]
    bring_inputs(BuildTask(**step, distfiles=(file,)), source, target)  # type: ignore[arg-type]
    assert {tree.label for tree in target.trees()} == set(names)
    assert path_of(target, file).exists()
    bring_inputs(merge, source, target)
    assert target.blob(merge.gpkg).path.read_text() == "gpkg"


def test_a_log_gets_a_name_of_its_own(source: Store, target: Store) -> None:
    for text in ("first", "second"):
        log = new_log(source, "c/a-1", "build")
        log.write_text(text)
        place = bring_log(log, source, target)
        assert place.read_text() == text
        assert place.is_relative_to(target.logs / "c/a-1")
        assert place.stem.endswith("-build")
    put_away(source, "c/a-1", log)
    assert bring_log(log, source, target).read_text() == "second"
    assert len(list((target.logs / "c/a-1").iterdir())) == 3
