from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from cloche.store import (
    Action,
    NotExclusiveError,
    Problem,
    Store,
    Tree,
    UnknownContentError,
    exact_digest,
    gc,
    measure,
    verify,
    walk,
)


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store", exclusive=True) as store:
        yield store


def put(store: Store, name: str) -> Tree:
    with store.workspace("test") as room:
        (room / "tree/usr").mkdir(parents=True)
        (room / "tree/usr" / name).write_text("content of " + name)
        (room / "tree/link").symlink_to(name)
        entries = walk(room / "tree")
        files, size = measure(entries)
        return store.add_tree(
            room / "tree", id=hashlib.sha256(name.encode()).hexdigest(), kind="package",
            exact=exact_digest(entries), label=name, files=files, size=size,
        )  # fmt: skip


def put_blob(store: Store, content: str) -> str:
    with store.workspace("test") as room:
        (room / "file").write_text(content)
        return store.add_blob(room / "file", content).id


def record(store: Store, key: str, outputs: dict[str, str], log: str | None = None) -> None:
    store.record(Action(key, "build", key, {}, outputs, 1.0, log, 1.0))


def test_gc_keeps_what_pins_name(store: Store) -> None:
    kept, wanted, lost = put(store, "kept"), put(store, "wanted"), put(store, "lost")
    blob, lost_blob = put_blob(store, "kept"), put_blob(store, "lost")
    record(store, "kept", {"layer": kept.id, "gpkg": blob})
    record(store, "half", {"layer": kept.id, "gpkg": lost_blob})
    record(store, "lost", {"layer": lost.id})
    store.pin("machine", [kept.id], [blob], {})
    plan = gc(store, dry_run=True, keep=[wanted.id])
    assert store.has_tree(lost.id)
    report = gc(store, keep=[wanted.id])
    assert report == plan
    assert report.trees == (lost.id,)
    assert report.blobs == (lost_blob,)
    assert set(report.actions) == {"half", "lost"}
    assert report.bytes >= 8192
    assert store.has_tree(kept.id)
    assert store.has_tree(wanted.id)
    assert not lost.path.exists()
    assert store.action("kept") is not None
    assert store.action("lost") is None
    assert not verify(store).problems
    assert gc(store, keep=[wanted.id]).bytes == 0


def test_gc_counts_only_what_it_gives_back(store: Store) -> None:
    kept = put(store, "kept")
    store.pin("machine", [kept.id], [], {})
    with store.workspace("farm") as room:
        (room / "farm").mkdir()
        (room / "farm/kept").hardlink_to(kept.path / "usr/kept")
        store.add_tree(room / "farm", id="f" * 64, exact="", kind="m", label="", files=1, size=1)
    size = gc(store, dry_run=True).bytes
    assert 0 < size <= kept.path.stat().st_blocks * 512


def test_gc_removes_old_logs_and_downloads_and_failed_roots_when_told(store: Store) -> None:
    tree = put(store, "kept")
    store.pin("machine", [tree.id], [], {})
    for name in ("kept.log", "old.log", "young.log"):
        (store.logs / name).touch()
        if name != "young.log":
            os.utime(store.logs / name, (0, 0))
    record(store, "kept", {"layer": tree.id}, log="kept.log")
    (store.failed / "app-misc-x/usr").mkdir(parents=True)
    for name in ("git-old", "git-young"):
        (store.downloads / name).mkdir()
    os.utime(store.downloads / "git-old", (0, 0))
    report = gc(store)
    assert (report.logs, report.downloads) == (("old.log",), ("git-old",))
    assert [path.name for path in store.downloads.iterdir()] == ["git-young"]
    assert sorted(path.name for path in store.logs.iterdir()) == ["kept.log", "young.log"]
    assert (store.failed / "app-misc-x").exists()
    assert gc(store, failed=True).failed == ("app-misc-x",)
    assert not list(store.failed.iterdir())


def test_gc_and_repair_need_the_store_alone(store: Store) -> None:
    store.close()
    with Store.open(store.path) as shared:
        with pytest.raises(NotExclusiveError, match="alone"):
            gc(shared)
        with pytest.raises(NotExclusiveError):
            verify(shared, repair=True)
        assert gc(shared, dry_run=True).trees == ()


def flip(tree: Tree) -> None:
    path = tree.path / "usr" / tree.label
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def retarget(tree: Tree) -> None:
    (tree.path / "link").unlink()
    (tree.path / "link").symlink_to("elsewhere")


DAMAGES = {
    "a flipped bit": (flip, "changed"),
    "a mode": (lambda tree: (tree.path / "usr").chmod(0o700), "changed"),
    "a time": (lambda tree: os.utime(tree.path / "usr" / tree.label, (0, 0)), "changed"),
    "an owner": (lambda tree: os.chown(tree.path / "usr", 1, 1), "changed"),
    "an attribute": (lambda tree: os.setxattr(tree.path, "user.x", b"y"), "changed"),
    "a new file": (lambda tree: (tree.path / "new").touch(), "changed"),
    "a link's target": (retarget, "changed"),
    "no directory": (lambda tree: tree.path.rename(tree.path.parents[1] / "tmp/x"), "missing"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds_what_changed_and_drops_it_when_told(store: Store, damage: str) -> None:
    good, bad = put(store, "good"), put(store, "bad")
    record(store, "bad", {"layer": bad.id})
    assert verify(store).ok
    act, trouble = DAMAGES[damage]
    act(bad)
    seen: list[str] = []
    report = verify(
        store, progress=lambda done, total, label: seen.append(f"{done}/{total} {label}")
    )
    assert report.checked == 2
    assert report.problems[0] == Problem(trouble, "layer", bad.id, "bad", bad.path)  # type: ignore[arg-type]
    assert not report.ok
    assert sorted(label[4:] for label in seen) == ["bad", "good"]
    assert str(report.problems[0]) == f"layer {bad.id[:16]} (bad): {trouble}"
    repaired = verify(store, repair=True)
    assert repaired.ok
    assert "dropped" in str(repaired.problems[0])
    assert store.action("bad") is None
    assert [tree.id for tree in store.trees()] == [good.id]
    assert verify(store).problems == ()


def test_verify_reads_blobs(store: Store) -> None:
    blob, gone = store.blob(put_blob(store, "blob")), store.blob(put_blob(store, "gone"))
    blob.path.write_text("other")
    gone.path.unlink()
    assert {(p.id, p.trouble, p.noun) for p in verify(store).problems} == {
        (blob.id, "changed", "blob"),
        (gone.id, "missing", "blob"),
    }
    assert verify(store, repair=True).ok
    assert not store.all_blobs()


def test_verify_reads_distfiles(store: Store) -> None:
    content = b"a source"
    whole = store.distfiles / f"SHA512-{hashlib.sha512(content).hexdigest()}"
    broken = store.distfiles / f"BLAKE2B-{hashlib.blake2b(content).hexdigest()}"
    whole.write_bytes(content)
    broken.write_bytes(b"something else")
    report = verify(store)
    assert [(p.trouble, p.noun, p.path) for p in report.problems] == [
        ("changed", "distfile", broken)
    ]
    assert report.checked >= 2
    assert broken.exists()
    assert verify(store, repair=True).ok
    assert (whole.exists(), broken.exists()) == (True, False)


def test_verify_tells_of_strays_and_of_trees_that_are_none(store: Store) -> None:
    tree = put(store, "one")
    tree.path.rename(store.tmp / "dead")
    tree.path.touch()
    (store.layers / ("e" * 64)).mkdir()
    (store.blobs / ("d" * 64)).touch()
    troubles = {(p.trouble, p.noun) for p in verify(store).problems}
    assert troubles == {
        ("changed", "layer"),
        ("unlisted", "layer"),
        ("unlisted", "blob"),
        ("leftover", "workspace"),
    }
    repaired = verify(store, repair=True)
    assert {p.trouble for p in repaired.problems if not p.repaired} == {"unlisted"}
    with pytest.raises(UnknownContentError, match="store recover"):
        gc(store)
    assert gc(store, dry_run=True).unknown == ("d" * 64, "e" * 64)
    assert set(gc(store, unknown=True).unknown) == {"d" * 64, "e" * 64}
    assert verify(store).problems == ()
