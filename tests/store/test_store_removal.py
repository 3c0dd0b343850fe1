from __future__ import annotations

import os
from pathlib import Path

from cloche.store.removal import remove_tree


def test_anything_can_be_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").touch()
    (root / "a/b").chmod(0)
    (root / "a").chmod(0o555)
    (root / "out").symlink_to(tmp_path)
    os.mknod(root / "gone", 0o020000, 0)
    (tmp_path / "stays").touch()
    remove_tree(root)
    remove_tree(root)
    remove_tree(tmp_path / "not/there")
    assert [path.name for path in tmp_path.iterdir()] == ["stays"]
    remove_tree(tmp_path / "stays")
    assert not list(tmp_path.iterdir())


def test_a_tree_of_thousands_of_levels_can_be_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    fd = os.open(root, os.O_DIRECTORY)
    for _ in range(1100):
        os.mkdir("deep", dir_fd=fd)
        below = os.open("deep", os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    remove_tree(root)
    assert not root.exists()
