"""Whatever becomes of the index: one line, the way out, and nothing is removed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.layers.layer import commit, possible_ids
from cloche.store import Action, DamagedIndexError, Store, StoreError, gc, recover, verify

INDEX = "index.sqlite"


def fill(path: Path, *, packages: int = 3) -> None:
    """A store with layers, blobs, actions and pins."""
    with Store.open(path) as store:
        for number in range(packages):
            with store.workspace("test") as room:
                (room / "tree/usr").mkdir(parents=True)
                (room / "tree/usr/file").write_text(f"content {number}")
                layer = commit(store, room / "tree", kind="package", label=f"a/b-{number}")
                (room / "blob").write_text(f"blob {number}")
                blob = store.add_blob(room / "blob", f"b-{number}.gpkg.tar")
            outputs = {"layer": layer.id, "gpkg": blob.id}
            parts = {"ebuild": "x" * 3000}
            store.record(Action(f"k{number}", "build", "a/b", parts, outputs, 1.0, None, 1.0))
            store.pin(f"machine/{number}", [layer.id], [blob.id], {"number": number})


def content(path: Path) -> set[str]:
    files = [*(path / "layers").rglob("*"), *(path / "blobs").rglob("*")]
    return {str(file.relative_to(path)) for file in files}


def database(statement: str) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        with closing(sqlite3.connect(path / INDEX)) as db:
            db.execute(statement)
            db.commit()

    return damage


def cut(part: float) -> Callable[[Path], object]:
    def damage(path: Path) -> None:
        os.truncate(path / INDEX, int((path / INDEX).stat().st_size * part))

    return damage


def of_another_store(path: Path) -> None:
    fill(path.parent / "other")
    shutil.copyfile(path.parent / "other" / INDEX, path / INDEX)


def new_elsewhere(path: Path) -> None:
    Store.open(path.parent / "new").close()
    shutil.copyfile(path.parent / "new" / INDEX, path / INDEX)


def emptied(path: Path) -> None:
    (path / INDEX).unlink()
    with closing(sqlite3.connect(path / INDEX)) as db:
        db.execute("PRAGMA journal_mode=WAL")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: (path / INDEX).unlink(),
    "no byte": cut(0),
    "no tables": emptied,
    "half": cut(0.5),
    "a few bytes short": cut(0.98),
    "random bytes": lambda path: (path / INDEX).write_bytes(random.Random(1).randbytes(50_000)),
    "another store's": of_another_store,
    "a new store's": new_elsewhere,
    "no version": database("PRAGMA user_version=0"),
    "an old version": database("PRAGMA user_version=1"),
    "a table lost": database("DROP TABLE pins"),
    "intents lost": database("DROP TABLE intents"),
    "its id lost": database("UPDATE store SET id = 'x'"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_removes_nothing_and_can_be_made_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "store"
    fill(path)
    before = content(path)
    DAMAGES[damage](path)
    damaged = (path / INDEX).read_bytes() if (path / INDEX).exists() else None
    for exclusive in (False, True):
        with pytest.raises(DamagedIndexError) as caught:
            Store.open(path, exclusive=exclusive)
        assert "cloche store recover" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.status == 3
    assert content(path) == before
    plan = recover(path, identify=possible_ids, dry_run=True)
    assert content(path) == before
    with pytest.raises(DamagedIndexError):
        Store.open(path)
    report = recover(path, identify=possible_ids)
    assert (report.trees, report.blobs, report.pins, report.actions) == (3, 3, 3, 3)
    assert (plan.entered, plan.unproven, plan.pins) == (report.entered, (), report.pins)
    assert content(path) == before
    if damaged is not None:
        assert report.damaged is not None
        assert (Path(report.damaged) / INDEX).stat().st_size in (len(damaged), 4096)
    with Store.open(path, exclusive=True) as store:
        assert verify(store).problems == ()
        assert [pin.data["number"] for pin in store.pins("machine/")] == [0, 1, 2]
        assert all(store.action(f"k{number}") is not None for number in range(3))
        assert {tree.label for tree in store.trees()} == {"a/b-0", "a/b-1", "a/b-2"}
        assert gc(store).trees == ()
    assert content(path) == before


def test_commands_end_with_one_line_and_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path)
    before = content(path)
    (path / INDEX).unlink()

    def cloche(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "cloche", "--store", str(path), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    for words in (("store", "usage"), ("seed", "list"), ("store", "gc")):
        done = cloche(*words)
        assert done.returncode == 3, words
        assert re.fullmatch(r"cloche: .*: it is missing; .*cloche store recover.*\n", done.stderr)
        assert content(path) == before
    assert not (path / INDEX).exists()
    planned = json.loads(cloche("store", "recover", "--dry-run", "--json").stdout)
    assert (planned["trees"], planned["damaged"]) == (3, None)
    assert not (path / INDEX).exists()
    recovered = cloche("store", "recover")
    assert recovered.returncode == 0, recovered.stderr
    assert "the index has 3 layers, 3 files, 3 pins, 3 steps" in recovered.stderr
    assert cloche("store", "verify").returncode == 0
    assert content(path) == before


@pytest.mark.parametrize("column", ["trees", "blobs", "data"])
@pytest.mark.parametrize("text", ["{", "[1]", "7", '"x"', "[" * 5000, "\x00"])
def test_malformed_pins_stop_what_reads_them(tmp_path: Path, column: str, text: str) -> None:
    path = tmp_path / "store"
    fill(path)
    with closing(sqlite3.connect(path / INDEX)) as db:
        db.execute(f"UPDATE pins SET {column} = ? WHERE name = 'machine/1'", (text,))
        db.commit()
    before = content(path)
    with Store.open(path, exclusive=True) as store:
        for task in (lambda: gc(store), lambda: gc(store, dry_run=True), lambda: verify(store)):
            with pytest.raises(DamagedIndexError, match="pin machine/1"):
                task()
        with pytest.raises(DamagedIndexError, match="pin machine/1"):
            store.pin_of("machine/1")
        assert store.pin_of("machine/0") is not None
    recover(path, identify=possible_ids)
    with Store.open(path, exclusive=True) as store:
        pin = store.pin_of("machine/1")  # from the copy
        assert pin is not None
        assert pin.data == {"number": 1}
        assert gc(store).trees == ()
    assert content(path) == before


def test_random_damage_removes_nothing(tmp_path: Path) -> None:
    """Bytes anywhere in the index: a command works or ends in one line; content stays."""
    fill(tmp_path / "whole")
    dice = random.Random(int(os.environ.get("CLOCHE_TESTS_RANDOM", "1")))
    stopped = 0
    for number in range(20):
        path = tmp_path / str(number)
        subprocess.run(["cp", "-a", tmp_path / "whole", path], check=True)
        before = content(path)
        with (path / INDEX).open("r+b") as file:
            for _ in range(dice.choice((1, 10, 1000))):
                file.seek(dice.randrange((path / INDEX).stat().st_size))
                file.write(dice.randbytes(dice.choice((1, 100))))
        try:
            with Store.open(path, exclusive=True) as store:
                assert verify(store).checked <= 6
                store.pins()
        except ClocheError:
            stopped += 1
        assert content(path) == before
        recover(path, identify=possible_ids)
        with Store.open(path) as store:
            assert len(store.trees()) == len(store.all_blobs()) == 3
    assert stopped > 3


def test_a_lost_log_of_writes_loses_rows_and_no_content(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, packages=1)
    pid = os.fork()
    if pid == 0:
        store = Store.open(path)  # the log of writes stays, as after a kill
        with store.workspace("test") as room:
            (room / "tree").mkdir()
            (room / "tree/late").write_text("late")
            late = commit(store, room / "tree", kind="package", label="late")
        store.pin("machine/late", [late.id], [], {})
        os._exit(0)
    os.waitpid(pid, 0)
    (path / "index.sqlite-wal").unlink()
    (path / "index.sqlite-shm").unlink(missing_ok=True)
    before = content(path)
    with Store.open(path, exclusive=True) as store:
        assert len(store.trees()) == 1
        assert {p.trouble for p in verify(store).problems} <= {"unlisted", "leftover"}
        with pytest.raises(ClocheError, match=r"1 layers or files are not in the index.*recover"):
            gc(store)
    assert content(path) == before
    assert len(recover(path, identify=possible_ids).entered) == 1
    with Store.open(path, exclusive=True) as store:
        assert sorted(tree.label for tree in store.trees()) == ["a/b-0", "late"]
        assert gc(store).trees == ()  # nobody knows its pin any more
        assert len(gc(store, recovered=True).trees) == 1
        assert store.pins("recovered/") == []


def test_a_store_without_copies_and_descriptions_loses_only_what_stood_in_the_index(
    tmp_path: Path,
) -> None:
    """As one of an older cloche."""
    path = tmp_path / "store"
    fill(path)
    before = content(path)
    for name in ("about", "backup"):
        shutil.rmtree(path / name)
    for name in ("identity", INDEX):
        (path / name).unlink()
    with pytest.raises(DamagedIndexError, match="missing"):
        Store.open(path)
    report = recover(path, identify=possible_ids)
    assert (report.sources, report.trees, report.blobs, report.actions) == ((), 3, 3, 0)
    with Store.open(path, exclusive=True) as store:
        assert {tree.kind for tree in store.trees()} == {"recovered"}
        assert verify(store).problems == ()
        assert gc(store).trees == ()
    assert content(path) == before


def test_recovering_enters_nothing_that_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path)
    with Store.open(path) as store:
        changed = store.trees()[0]
        (changed.path / "usr/file").write_text("altered")
        (store.blobs / hashlib.sha256(b"x").hexdigest()).write_text("y")
        (store.layers / "thesis").mkdir()
    before = content(path)
    (path / INDEX).unlink()
    report = recover(path, identify=possible_ids)
    assert len(report.unproven) == 3
    assert report.trees == 2
    assert content(path) == before


def test_an_older_store_gets_an_identity_and_descriptions(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path)
    for name in ("about", "backup"):
        shutil.rmtree(path / name)
    (path / "identity").unlink()
    with closing(sqlite3.connect(path / INDEX)) as db:
        old = "DROP TABLE store; DROP TABLE intents; ALTER TABLE actions DROP COLUMN data"
        db.executescript(f"{old}; PRAGMA user_version=1")
    Store.open(path).close()
    assert len(list((path / "about").iterdir())) == 6
    assert (path / "identity").exists()
    (path / INDEX).unlink()
    recover(path, identify=possible_ids)
    with Store.open(path) as store:
        assert len(store.pins("machine/")) == 3  # from the copy that was made at once
        assert {tree.label for tree in store.trees()} == {"a/b-0", "a/b-1", "a/b-2"}


def test_a_newer_index_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path)
    before = content(path)
    database("PRAGMA user_version=99")(path)
    with pytest.raises(StoreError, match="newer cloche"):
        Store.open(path)
    assert content(path) == before


def test_copies_of_the_index_are_made_when_something_changed(tmp_path: Path) -> None:
    path = tmp_path / "store"
    fill(path, packages=1)
    newest, older = path / "backup/index.sqlite", path / "backup/index.1.sqlite"
    first = newest.stat().st_mtime_ns
    Store.open(path).close()
    assert newest.stat().st_mtime_ns == first
    with Store.open(path) as store:  # too soon: the next one does it
        store.pin("x", [], [], {})
    assert newest.stat().st_mtime_ns == first
    os.utime(newest, (0, 0))
    Store.open(path).close()
    assert older.stat().st_mtime == 0
    with closing(sqlite3.connect(newest)) as db:
        assert db.execute("SELECT count(*) FROM pins").fetchone() == (2,)
