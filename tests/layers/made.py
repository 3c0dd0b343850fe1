"""Stacks of layers and changes of trees, for tests to draw from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from hypothesis import strategies as st

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
NEAR = st.lists(NAMES, min_size=1, max_size=2).map("/".join)
KINDS = st.sampled_from(["file", "directory", "opaque", "whiteout", "symlink", "link"])
LAYER = st.lists(st.tuples(PATHS, KINDS), max_size=8)
LAYERS = st.lists(LAYER, min_size=1, max_size=4)
CHANGES = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "mkdir", "remove", "link", "symlink", "chmod", "chown", "rename", "xattr",
             "touch", "fifo", "same"]
        ),
        NEAR,
        NEAR,
    ),
    max_size=10,
)  # fmt: skip


def make_layer(root: Path, items: list[tuple[str, str]], *, bottom: bool) -> Path:
    """Make a layer; marks for hiding are left out of one that is the bottom."""
    root.mkdir(parents=True)
    last = None
    for number, (name, kind) in enumerate(items):
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind in ("directory", "opaque"):
                path.mkdir()
                if kind == "opaque" and not bottom:
                    os.setxattr(path, "user.overlay.opaque", b"y")
            elif kind == "symlink":
                path.symlink_to("target")
            elif kind == "link" and last is not None:
                path.hardlink_to(last)
            elif kind == "file":
                path.write_text(f"{root.name} {number}")
                last = path
            elif kind == "whiteout" and not bottom:
                os.mknod(path, 0o020000, 0)
        except OSError:
            continue
    return root


def make_stack(room: Path, layers: list[list[tuple[str, str]]]) -> list[Path]:
    """Make layers, the bottom first."""
    return [make_layer(room / str(n), items, bottom=n == 0) for n, items in enumerate(layers)]


def change(root: Path, changes: list[tuple[str, str, str]]) -> None:
    """Change a tree; what cannot be done is left."""
    for number, (what, name, other) in enumerate(changes):
        try:
            _change(root / name, root / other, what, number)
        except (OSError, shutil.Error):
            continue


def _change(path: Path, other: Path, what: str, number: int) -> None:
    if what == "write" and not path.is_fifo():  # which would wait for a reader
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"changed {number}")
    elif what == "mkdir":
        path.mkdir(parents=True)
    elif what == "remove":
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    elif what == "link":
        other.hardlink_to(path)
    elif what == "symlink":
        path.symlink_to(other.name)
    elif what == "chmod":
        path.chmod(0o1700 + number)
    elif what == "chown":
        os.chown(path, 1, number, follow_symlinks=False)
    elif what == "rename":
        path.rename(other)
    elif what == "xattr":
        os.setxattr(path, "user.number", str(number).encode(), follow_symlinks=False)
    elif what == "touch":
        os.utime(path, (1, 1), follow_symlinks=False)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "same":  # another inode with the same content: breaks a hard link
        shutil.copy2(path, path.parent / "new")
        (path.parent / "new").rename(path)
