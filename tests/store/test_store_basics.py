from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from cloche.errors import Exit
from cloche.store import (
    Action,
    Store,
    StoreBusyError,
    StoreError,
    Tree,
    exact_digest,
    measure,
    usage,
    walk,
)


def put(store: Store, name: str, content: str = "content", kind: str = "package") -> Tree:
    with store.workspace("test") as room:
        tree = room / "tree"
        tree.mkdir()
        (tree / name).write_text(content)
        os.utime(tree / name, (0, 0))
        entries = walk(tree)
        files, size = measure(entries)
        id = hashlib.sha256(f"{name} {content}".encode()).hexdigest()
        return store.add_tree(
            tree, id=id, exact=exact_digest(entries), kind=kind, label=name, files=files, size=size
        )


def action(key: str, outputs: dict[str, str], **values: object) -> Action:
    defaults: dict[str, object] = {
        "kind": "build", "name": "app-misc/jq", "parts": {"ebuild": key}, "seconds": 1.0,
        "log": None, "created": 1.0,
    }  # fmt: skip
    return Action(key=key, outputs=outputs, **(defaults | values))  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "store") as store:
        yield store


def test_a_tree_comes_back_as_it_went_in(store: Store) -> None:
    tree = put(store, "one")
    assert store.tree(tree.id) == tree
    assert (tree.files, tree.size, tree.kind, tree.label) == (1, 7, "package", "one")
    assert tree.path == store.layers / tree.id
    assert (tree.path / "one").read_text() == "content"
    assert not list(store.tmp.iterdir())


def test_the_first_tree_of_an_id_stays(store: Store) -> None:
    tree = put(store, "one")
    inode = (tree.path / "one").stat().st_ino
    again = put(store, "one", kind="other")
    assert again == tree
    assert (tree.path / "one").stat().st_ino == inode


def test_unknown_and_impossible_ids_are_refused(store: Store) -> None:
    with pytest.raises(StoreError, match=f"holds no layer {'0' * 64}") as caught:
        store.tree("0" * 64)
    assert caught.value.status is Exit.FAILED
    with pytest.raises(StoreError, match=f"holds no blob {'0' * 64}"):
        store.blob("0" * 64)
    with pytest.raises(StoreError, match="not an id"):
        store.has_tree("../../etc")


def test_a_tree_whose_directory_is_gone_can_be_added_again(store: Store) -> None:
    tree = put(store, "one")
    tree.path.rename(store.tmp / "away")
    assert not store.has_tree(tree.id)
    put(store, "one")
    assert store.has_tree(tree.id)


def test_blobs_are_named_by_their_content(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "file"
    source.write_bytes(b"gpkg")
    source.chmod(0o600)
    blob = store.add_blob(source, "jq.gpkg.tar")
    assert blob.id == hashlib.sha256(b"gpkg").hexdigest()
    assert blob.path.read_bytes() == b"gpkg"
    assert blob.path.stat().st_mode & 0o777 == 0o444
    assert blob.size == 4
    assert not source.exists()
    source.write_bytes(b"gpkg")
    assert store.add_blob(source, "another name") == blob
    assert not source.exists()


def test_a_blob_of_another_size_is_not_there(store: Store, tmp_path: Path) -> None:
    """Root may have written into what was delivered, which is linked to it."""
    source = tmp_path / "file"
    source.write_bytes(b"gpkg")
    blob = store.add_blob(source, "jq.gpkg.tar")
    store.record(action("k2", {"blob": blob.id}, log="k2.log"))
    blob.path.chmod(0o644)
    blob.path.write_bytes(b"")
    assert not store.has_blob(blob.id)
    assert store.action("k2") is None
    source.write_bytes(b"gpkg")
    assert store.add_blob(source, "jq.gpkg.tar").path.read_bytes() == b"gpkg"
    assert store.action("k2") is not None


def test_an_action_is_known_while_its_outputs_are_there(store: Store, tmp_path: Path) -> None:
    tree = put(store, "one")
    done = action("k1", {"layer": tree.id}, log="k1.log")
    store.record(done)
    assert store.action("k1") == done
    assert store.action("k2") is None
    tree.path.rename(store.tmp / "away")
    assert store.action("k1") is None
    assert store.last_action("build", "app-misc/jq") == done
    with pytest.raises(StoreError, match="holds no layer 0"):
        store.record(action("k3", {"layer": "0" * 64}))


def test_the_newest_action_of_a_name_is_found_whatever_its_key(store: Store) -> None:
    for key, created in (("k1", 1.0), ("k3", 3.0), ("k2", 2.0)):
        store.record(action(key, {}, created=created, seconds=created))
    store.record(action("k4", {}, created=9.0, name="other"))
    newest = store.last_action("build", "app-misc/jq")
    assert newest is not None
    assert newest.key == "k3"
    assert store.durations("build", "app-misc/jq") == [1.0, 2.0, 3.0]
    assert store.last_action("merge", "app-misc/jq") is None


def test_only_the_last_durations_are_kept(store: Store) -> None:
    for number in range(30):
        store.record(action("same", {}, created=float(number), seconds=float(number)))
    assert store.durations("build", "app-misc/jq") == [float(number) for number in range(10, 30)]


def test_durations_are_found_by_the_beginning_of_a_name(store: Store) -> None:
    for number, name in enumerate(("a/jq-2", "a/jq-1", "a/jqx-1", "a/jp-1", "A/jq-1", "a/jq-1")):
        store.record(action(name, {}, created=number, seconds=float(number), name=name))
    assert store.durations_like("build", "a/jq-") == [("a/jq-2", 0), ("a/jq-1", 1), ("a/jq-1", 5)]
    assert store.durations_like("merge", "a/jq-") == []


def test_pins_are_found_by_name_and_prefix(store: Store) -> None:
    store.pin("machine/a", ["1"], ["2"], {"order": [1, 2]})
    store.pin("machine/b", [], [], {})
    store.pin("seed_x", [], [], {})
    pin = store.pin_of("machine/a")
    assert pin is not None
    assert (pin.trees, pin.blobs, pin.data) == (("1",), ("2",), {"order": [1, 2]})
    assert [pin.name for pin in store.pins("machine/")] == ["machine/a", "machine/b"]
    assert len(store.pins()) == 3
    assert store.pin_of("machine/") is None
    store.pin("machine/a", ["9"], [], {})
    assert store.pins("machine/a")[0].trees == ("9",)
    assert store.unpin("machine/a")
    assert not store.unpin("machine/a")


def test_what_was_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        tree = put(store, "one")
        store.pin("p", [tree.id], [], {})
    store.close()
    with Store.open(tmp_path / "store") as store:
        assert store.tree(tree.id) == tree
        assert store.pins()[0].trees == (tree.id,)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    Store.open(tmp_path / "store").close()
    (tmp_path / "store/version").write_text("99\n")
    with pytest.raises(StoreError, match=r"format 99.*newer cloche") as caught:
        Store.open(tmp_path / "store")
    assert caught.value.status is Exit.BAD_INPUT
    (tmp_path / "store/version").write_text("garbage\n")
    with pytest.raises(StoreError, match="not a store of cloche"):
        Store.open(tmp_path / "store")


def test_a_newer_index_is_refused(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store") as store:
        store.index._rows("PRAGMA user_version=77")
    with pytest.raises(StoreError, match="newer cloche"):
        Store.open(tmp_path / "store")


def test_a_directory_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(StoreError, match=r"thesis\.tex"):
        Store.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("name", ["index.sqlite-journal", "a-name-of-a-later-cloche"])
def test_a_store_that_another_process_is_making_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Two first builds at once: what the other one makes comes between two looks of ours."""
    there = os.listdir

    def others(path: Path) -> list[str]:
        if not (tmp_path / "version").exists():
            (tmp_path / "version").write_text("1\n")
            return [name]
        return there(path)

    monkeypatch.setattr("cloche.store.layout.os.listdir", others)
    Store.open(tmp_path).close()


def test_many_share_a_store_and_one_can_have_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "store"
    with Store.open(path), Store.open(path):  # noqa: SIM117 - it reads better in two
        with pytest.raises(StoreBusyError, match="other cloche processes"):
            Store.open(path, exclusive=True)
    with Store.open(path, exclusive=True):
        with pytest.raises(StoreBusyError, match="has exclusive access"):
            Store.open(path)
        told: list[str] = []
        thread = threading.Thread(target=lambda: Store.open(path, waiting=told.append).close())
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(10)
    assert not thread.is_alive()
    assert "waiting" in told[0]


def test_a_workspace_goes_with_all_it_holds(store: Store) -> None:
    with store.workspace("build") as room:
        assert room.parent == store.tmp
        assert room.name.startswith("build-")
        (room / "work/work").mkdir(parents=True, mode=0)
        (room / "work/work").chmod(0)
        (room / "link").symlink_to("/")
        with Store.open(store.path):
            assert room.exists()
    assert not room.exists()


def test_leftovers_go_when_the_store_is_opened_and_what_is_unknown_stays(store: Store) -> None:
    (store.tmp / "dead-1").mkdir()
    (store.tmp / "file").touch()
    (store.layers / ("a" * 64)).mkdir()
    (store.blobs / ("b" * 64)).touch()
    Store.open(store.path).close()
    assert not list(store.tmp.iterdir())
    for directory in (store.layers, store.blobs):
        assert len(list(directory.iterdir())) == 1
    assert {part.name: part.count for part in usage(store).parts}["unknown"] == 2


def test_a_lock_keeps_threads_apart(store: Store) -> None:
    inside = 0
    most = 0
    waited: list[int] = []

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with store.lock("build/app misc", lambda: waited.append(1)):
                inside += 1
                most = max(most, inside)
                threading.Event().wait(0.001)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert waited


def test_threads_share_one_store(store: Store) -> None:
    def work(number: int) -> None:
        for index in range(5):
            tree = put(store, f"{number}-{index}")
            put(store, f"same-{index}")
            store.record(action(f"{number}-{index}", {"layer": tree.id}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.trees()) == 25
    assert len(store.index.actions()) == 20


def test_usage_counts_hard_links_once(store: Store) -> None:
    tree = put(store, "big", "x" * 100_000)
    with store.workspace("farm") as room:
        (room / "farm").mkdir()
        (room / "farm/big").hardlink_to(tree.path / "big")
        store.add_tree(
            room / "farm", id="f" * 64, exact="", kind="merged", label="", files=1, size=100_000
        )
    (store.distfiles / "jq.tar").write_bytes(b"x" * 10_000)
    parts = {part.name: part for part in usage(store).parts}
    assert parts["package"].count == 1
    assert parts["distfiles"].bytes >= 10_000
    assert parts["merged"].bytes + parts["package"].bytes < 150_000
    assert usage(store).bytes == sum(part.bytes for part in parts.values())
