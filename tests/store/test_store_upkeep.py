from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloche.store import (
    Action,
    Problem,
    Store,
    StoreBusyError,
    StoreError,
    Tree,
    exact_digest,
    gc,
    measure,
    names,
    usage,
    verify,
    walk,
)
from cloche.store.holders import holders_of, in_short


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


def test_a_compile_cache_goes_once_no_build_uses_it(store: Store) -> None:
    cache, other = put_blob(store, "cache"), put_blob(store, "other")
    store.pin(names.ccache("place", "repo", "c/a", "1"), (), (cache,), {})
    store.pin("machine/m", (), (other,), {})
    (shown,) = (part for part in usage(store).parts if part.name == "ccache")
    (blobs,) = (part for part in usage(store).parts if part.name == "blobs")
    assert (shown.count, blobs.count) == (1, 1)
    assert gc(store).blobs == ()
    assert gc(store, keep_ccaches=0.0, dry_run=True).blobs == (cache,)
    assert len(store.pins(names.CCACHES)) == 1
    assert gc(store, keep_ccaches=0.0).blobs == (cache,)
    assert store.pins(names.CCACHES) == []
    assert store.has_blob(other)


def test_what_a_trial_built_goes_after_a_week(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new, other = (put_blob(store, name) for name in ("old", "new", "other"))
    store.pin("machine/place/web", (), (other,), {})
    before = time.time() - 8 * 86400
    monkeypatch.setattr("time.time", lambda: before)
    store.pin(names.trial("place", "web"), (), (old, other), {})
    store.pin(names.trial("place", "kiosk"), (), (old,), {})
    monkeypatch.undo()
    store.pin(names.trial("place", "kiosk"), (), (new,), {})  # tried again
    pin = names.trial("place", "web")
    report = gc(store, dry_run=True)
    assert (report.pins, report.blobs) == ((pin,), (old,))
    assert store.pin_of(pin) is not None
    assert gc(store) == report
    assert store.pin_of(pin) is None
    assert [each.name for each in store.pins(names.TRIALS)] == [names.trial("place", "kiosk")]
    assert store.has_blob(new)
    assert store.has_blob(other)


def test_what_a_freshroot_built_goes_with_it(store: Store) -> None:
    built = {name: put_blob(store, name) for name in ("kept", "open", "killed", "removed")}
    kept, killed = store.freshroots / "place@kept", store.tmp / "freshroot-killed"
    for path in (kept, killed):
        path.mkdir()
    with store.workspace("freshroot") as open_:
        roots = (kept, open_, killed, store.freshroots / "place@removed")
        for root, blob in zip(roots, built.values(), strict=True):
            store.pin(names.freshroot(store.path, root), (), (blob,), {})
        older = put_blob(store, "older")  # its name is no path of a root
        store.pin(f"{names.FRESHROOTS}place/name", (), (older,), {})
        plan = gc(store, dry_run=True)
        assert len(store.pins(names.FRESHROOTS)) == 5
        assert plan == gc(store)
        assert set(plan.blobs) == {built["killed"], built["removed"]}
        assert plan.pins == ("freshroot/freshroots/place@removed", "freshroot/tmp/freshroot-killed")
        left = {pin.name.rpartition("/")[2] for pin in store.pins(names.FRESHROOTS)}
        assert left == {"place@kept", open_.name, "name"}
    assert gc(store).blobs == (built["open"],)
    assert store.has_blob(built["kept"])
    assert store.has_blob(older)


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


def test_gc_and_repair_keep_others_out_only_while_they_take_away(store: Store) -> None:
    lost, bad = put(store, "lost"), put(store, "bad")
    store.pin("machine", [bad.id], [], {})
    (bad.path / "usr/bad").write_text("something else")
    store.close()
    with Store.open(store.path) as shared:
        with Store.open(store.path) as other:
            with pytest.raises(StoreBusyError, match="other cloche processes are using the store"):
                gc(shared)
            with pytest.raises(StoreBusyError):
                verify(shared, repair=True)
            assert gc(shared, dry_run=True).trees == (lost.id,)
            assert other.has_tree(lost.id)
        with pytest.raises(StoreError, match="requires exclusive access"):
            shared.remove(trees=[lost.id], blobs=[], actions=[])
        assert gc(shared).trees == (lost.id,)
        assert [problem.id for problem in verify(shared, repair=True).problems] == [bad.id]
        with Store.open(store.path) as other:  # it is shared again
            assert other.trees() == []
        assert list(shared.tmp.iterdir()) == []


def test_gc_leaves_what_was_used_while_it_waited(store: Store) -> None:
    used, lost = put(store, "used"), put(store, "lost")
    store.close()
    told: list[str] = []

    def meanwhile(words: str) -> None:
        told.append(words)
        other.pin("machine", [used.id], [], {})
        other.close()

    other = Store.open(store.path)
    with Store.open(store.path) as shared:
        assert gc(shared, waiting=meanwhile).trees == (lost.id,)
        assert shared.has_tree(used.id)
    assert told == ["other cloche processes are using the store; waiting"]


def test_repair_leaves_what_was_mended_while_it_waited(store: Store) -> None:
    tree = put(store, "mended")
    path = tree.path / "usr/mended"
    times, good = path.stat(), path.read_bytes()
    path.write_bytes(b"bad")
    store.close()

    def meanwhile(_: str) -> None:
        path.write_bytes(good)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        other.close()

    other = Store.open(store.path)
    with Store.open(store.path) as shared:
        report = verify(shared, repair=True, waiting=meanwhile)
        assert report.problems == ()
        assert shared.has_tree(tree.id)


def test_who_holds_a_store_is_told(tmp_path: Path) -> None:
    code = "from pathlib import Path; from cloche.store import Store; "
    code += "s = Store.open(Path('store')); print(flush=True); input()"
    command = [sys.executable, "-c", code, "/usr/bin/cloche", "build", "machine"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes, text=True, cwd=tmp_path) as running:
        assert running.stdout is not None
        running.stdout.readline()
        with pytest.raises(StoreBusyError) as caught:
            Store.open(tmp_path / "store", exclusive=True)
        assert f"(`cloche build machine`, process {running.pid})" in caught.value.what
        running.communicate("\n")


LOCKS = """\
1: FLOCK  ADVISORY  WRITE 10 08:01:77 0 EOF
2: FLOCK  ADVISORY  READ 11 08:01:78 0 EOF
2: -> FLOCK  ADVISORY  WRITE 12 08:01:78 0 EOF
3: FLOCK  ADVISORY  READ 0 08:01:78 0 EOF
4: POSIX  ADVISORY  WRITE 13 08:01:78 0 EOF
"""


def test_those_that_wait_for_a_lock_do_not_hold_it() -> None:
    assert holders_of(LOCKS.splitlines(), "08:01:78") == {11}


@pytest.mark.parametrize(
    ("words", "short"),
    [
        (["/v/bin/python", "/v/bin/cloche", "build", "m"], "`cloche build m`"),
        (["python3", "-B", "-m", "cloche.cli", "store", "gc"], "`cloche store gc`"),
        (["cloche-sandbox"], "`cloche-sandbox`"),
        (["x" * 99], f"`{'x' * 80}…`"),
    ],
)
def test_a_command_is_told_in_short(words: list[str], short: str) -> None:
    assert in_short(words) == short


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
    with pytest.raises(StoreError, match="store recover"):
        gc(store)
    assert gc(store, dry_run=True).unknown == ("d" * 64, "e" * 64)
    assert set(gc(store, unknown=True).unknown) == {"d" * 64, "e" * 64}
    assert verify(store).problems == ()
