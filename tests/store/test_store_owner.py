"""A store is one user's: others are refused, and root can give it back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.layers.layer import commit
from cloche.sandbox import userns
from cloche.store import IdMap, Owner, Store, StoreError, adopt, verify, walk
from cloche.store.index import Index


@pytest.fixture(autouse=True)
def as_root() -> None:
    if not userns.is_real_root():
        cannot("only root can give files to others")


LARRY = Owner(IdMap(54321, 700_000), IdMap(54321, 800_000))
AGAIN = Owner(IdMap(54321, 900_000), IdMap(54321, 950_000))
ROOT = Owner(IdMap(0, 1), IdMap(0, 1))
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


def put(store: Store, label: str) -> str:
    """A layer with files of several owners, setuid, capabilities, links and a device."""
    with store.workspace("test") as room:
        tree = room / "tree"
        (tree / "usr").mkdir(parents=True)
        (tree / "usr/plain").write_text(label)
        (tree / "usr/daemon").write_text("daemon")
        (tree / "usr/setuid").write_text("setuid")
        (tree / "usr/ping").write_text("ping")
        (tree / "usr/second").hardlink_to(tree / "usr/daemon")
        (tree / "link").symlink_to("usr/plain")
        os.chown(tree / "usr/daemon", 250, 12)
        os.chown(tree / "usr/setuid", 1000, 0)
        (tree / "usr/setuid").chmod(0o6755)
        os.setxattr(tree / "usr/ping", "security.capability", CAPABILITY)
        os.lchown(tree / "link", 65533, 100)
        return commit(store, tree, kind="package", label=label).id


def made(path: Path) -> Path:
    with Store.open(path) as store:
        ids = [put(store, "one"), put(store, "two")]
        with store.workspace("test") as room:
            (room / "blob").write_text("blob")
            blob = store.add_blob(room / "blob", "blob")
        store.pin("machine/x", ids, [blob.id], {})
        (store.logs / "log").touch()
    return path


def owners(path: Path) -> dict[bytes, tuple[int, int]]:
    return {entry.path: (entry.uid, entry.gid) for entry in walk(path, content=False)}


def test_a_store_goes_to_a_user_and_back_and_stays_whole(tmp_path: Path) -> None:
    path = made(tmp_path / "store")
    before = owners(path)
    plan = adopt(path, LARRY, dry_run=True)
    assert owners(path) == before
    report = adopt(path, LARRY)
    assert (report.dropped, report.unreadable, len(report.trees)) == ((), (), 2)
    assert plan.trees == report.trees
    for name, (uid, gid) in owners(path).items():
        if name != b"identity" and name in before:
            assert (LARRY.uids.inside(uid), LARRY.gids.inside(gid)) == before[name], name
    with pytest.raises(StoreError, match="store adopt") as caught:
        Store.open(path)
    assert (caught.value.status, str(caught.value).count("\n")) == (3, 0)
    assert adopt(path, LARRY).files == 0
    moved = adopt(path, AGAIN)  # another range of subordinate ids
    assert moved.dropped == ()
    assert adopt(path, ROOT).dropped == ()
    assert {name: ids for name, ids in owners(path).items() if name in before} == before
    with Store.open(path) as store:
        assert verify(store).problems == ()
        layer = next(tree for tree in store.trees() if tree.label == "one")
        assert (layer.path / "usr/setuid").stat().st_mode & 0o7777 == 0o6755
        assert os.getxattr(layer.path / "usr/ping", "security.capability") == CAPABILITY


def test_what_root_left_in_a_users_store_becomes_the_users(tmp_path: Path) -> None:
    """As an older cloche, which did not refuse it, has left it."""
    path = made(tmp_path / "store")
    adopt(path, LARRY)
    identity = path / "identity"
    os.chown(path, 0, 0)
    os.chown(identity, 1, 1)
    with Store.open(path) as store:  # root
        root_layer = put(store, "root's")
        theirs = next(tree for tree in store.trees() if tree.label == "one")
        with store.workspace("test") as room:  # a part of a user's layer: hard links to its files
            (room / "part/usr").mkdir(parents=True)
            (room / "part/usr/plain").hardlink_to(theirs.path / "usr/plain")
            mixed = commit(store, room / "part", kind="part", label="mixed").id
    os.chown(path, LARRY.uids.own, LARRY.gids.own)
    os.chown(identity, LARRY.uids.outside(1), LARRY.gids.outside(1))
    report = adopt(path, LARRY)
    assert root_layer in report.trees
    assert report.dropped == (mixed,)
    for uid, gid in owners(path).values():
        assert LARRY.uids.inside(uid) is not None
        assert LARRY.gids.inside(gid) is not None
    adopt(path, ROOT)
    with Store.open(path) as store:
        assert verify(store).problems == ()
        assert store.has_tree(root_layer)
        assert not store.has_tree(mixed)


@pytest.mark.parametrize("command", [["store", "usage"], ["seed", "list"], ["store", "recover"]])
def test_another_users_store_is_refused_before_anything_is_written(
    tmp_path: Path, command: list[str]
) -> None:
    path = made(tmp_path / "store")
    adopt(path, LARRY)
    before = owners(path)
    done = subprocess.run(
        [sys.executable, "-m", "cloche", "--store", path, *command],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "only one user can use a store; run cloche as" in done.stderr
    assert done.stderr.count("\n") == 1
    assert owners(path) == before


def test_an_empty_directory_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 54321, 54321)
    with pytest.raises(StoreError, match="uid 54321"):
        Store.open(tmp_path / "theirs")
    assert not list((tmp_path / "theirs").iterdir())


def test_a_copy_without_its_owners_is_refused(tmp_path: Path) -> None:
    path = made(tmp_path / "store")
    subprocess.run(["cp", "-r", "--preserve=mode,timestamps", path, tmp_path / "copy"], check=True)
    with pytest.raises(StoreError, match=r"lost its owners.*store adopt"):
        Store.open(tmp_path / "copy")
    subprocess.run(["cp", "-a", path, tmp_path / "moved"], check=True)
    Store.open(tmp_path / "moved").close()


def test_a_store_of_an_older_cloche_gets_an_owner(tmp_path: Path) -> None:
    path = made(tmp_path / "store")
    (path / "identity").unlink()
    Store.open(path).close()
    assert (path / "identity").stat().st_uid == 1
    with closing(Index(path / "index.sqlite")) as index:
        assert index.store in (path / "identity").read_text()
