"""Finding and removing what killed processes left behind in a store."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cloche.store.locks import held, held_directory, open_lock, release, try_hold
from cloche.store.tree import open_directory, remove_tree

if TYPE_CHECKING:
    from cloche.store.store import Store


def dead(store: Store) -> list[Path]:
    """What in ``tmp`` belongs to no living process, by name."""
    found = []
    with held(store.path / "locks" / "tmp"):  # none is between being made and being held
        for path in sorted(store.tmp.iterdir()):
            try:
                fd = open_directory(path)
            except NotADirectoryError:
                found.append(path)
                continue
            except FileNotFoundError:  # its owner has just removed it
                continue
            if try_hold(fd):
                release(fd)
                found.append(path)
            else:
                os.close(fd)
    return found


def unlisted(store: Store) -> list[Path]:
    """Trees and blobs in place without a row: their processes were killed before they made it."""
    with store.placing():
        return _unlisted(store)


def _unlisted(store: Store) -> list[Path]:
    known = {tree.path for tree in store.trees()} | {blob.path for blob in store.all_blobs()}
    there = [*store.layers.iterdir(), *store.blobs.iterdir()]
    return sorted(path for path in there if path not in known)


def sweep(store: Store) -> None:
    """Remove all that `unlisted` and `dead` name.

    What cannot be removed (files of another user in a store that two share) stays, and `verify`
    tells of it: that is no reason for a build to fail.
    """
    with store.placing():
        for path in _unlisted(store):
            take_away(store, path)
    fd = open_lock(store.path / "locks" / "sweep")
    try:
        if try_hold(fd):  # else another process is at it
            for path in dead(store):
                with suppress(OSError):
                    remove_tree(path)
    finally:
        release(fd)


def discard(store: Store, path: Path) -> None:
    """Remove a directory at once, or, where somebody holds it, leave that to a later `sweep`."""
    target = store.tmp / f"gone-{os.urandom(8).hex()}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return
    with suppress(OSError), held_directory(target) as free:
        if free:
            remove_tree(target)


def take_away(store: Store, path: Path) -> None:
    """Move something out of its place at once; the next `sweep` removes it in its own time."""
    with suppress(FileNotFoundError):
        path.rename(store.tmp / f"gone-{os.urandom(8).hex()}")
