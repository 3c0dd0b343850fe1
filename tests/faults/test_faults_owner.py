"""Root in a user's store: refused; what root has left there is given back."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support import Store, User

pytestmark = pytest.mark.real


def test_root_is_refused_in_a_users_store_and_gives_back_what_it_left(
    ordinary_seeded: Store, root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store, root = fresh(ordinary_seeded), root_seeded.user
    for words in (["store", "usage"], ["store", "gc"], ["seed", "list"]):
        done = root.run("--store", store.path, *words)
        assert done.returncode == 3, done.stderr
        assert f"run cloche as {store.user.name}" in done.stderr
        assert done.stderr.count("\n") == 1
    assert foreign(store.path) == []
    for place in ("logs/left.log", "tmp/left", "failed/left"):
        (store.path / place).touch()
    os.chown(store.path / "index.sqlite", 0, 0)
    (store.path / "index.sqlite").chmod(0o600)  # as with root's umask of 077
    assert store.cloche("store", "verify").returncode != 0
    assert store.cloche("store", "adopt").returncode == 3
    plan = adopted(root, store.path, "--dry-run")
    assert adopted(root, store.path) == plan
    assert (plan["owner"], plan["dropped"], plan["unreadable"]) == (store.user.name, [], [])
    assert foreign(store.path) == []
    assert store.cloche("store", "verify", check=True)


def adopted(root: User, path: Path, *options: str) -> dict[str, object]:
    done = root.run("--store", path, "store", "adopt", "--json", *options, check=True)
    report: dict[str, object] = json.loads(done.stdout)
    return report


def foreign(path: Path) -> list[Path]:
    """What belongs to root."""
    return [each for each in (path, *path.rglob("*")) if each.lstat().st_uid == 0]
