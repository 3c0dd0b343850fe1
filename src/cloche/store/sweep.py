"""Finishing what killed processes began in a store, and removing what they left behind.

Only what is proven to be garbage is removed: what the index struck out, and what lies in ``tmp``
under a temporary name without a living process.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from cloche.store.descriptions import described_blob, described_tree, undescribed
from cloche.store.layout import checked
from cloche.store.locks import held, held_directory, held_file, release, try_hold
from cloche.store.place import Place
from cloche.store.records import Intent
from cloche.store.removal import remove_tree
from cloche.store.tree import open_directory


def dead(store: Place) -> list[Path]:
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


def unlisted(store: Place) -> list[Path]:
    """Trees and blobs in place without a row: unknown, so they may belong to anyone.

    The index has lost their rows, or someone else put them there.
    """
    with store.placing():
        return _unlisted(store)


def _unlisted(store: Place) -> list[Path]:
    known = {tree.path for tree in store.trees()} | {blob.path for blob in store.all_blobs()}
    known |= {_place(store, intent) for intent in store.index.intents()}
    there = [*store.layers.iterdir(), *store.blobs.iterdir()]
    return sorted(path for path in there if path not in known)


def sweep(store: Place) -> None:
    """Finish what is intended, and remove all that `dead` names.

    What cannot be removed (files of another user in a store that two share) stays, and `verify`
    reports it: a build does not fail for it.
    """
    settle(store)
    with held_file(store.path / "locks" / "sweep") as free:
        if free:  # else another process does it
            for path in dead(store):
                with suppress(OSError):
                    remove_tree(path)


def settle(store: Place) -> None:
    """Finish what is intended: enter what is in its place, move aside what was struck out."""
    if store.index.intents():
        with store.placing():  # now they are those of dead processes alone
            for intent in store.index.intents():
                _finish(store, intent)


def _place(store: Place, intent: Intent) -> Path:
    return (store.layers if intent.noun == "layer" else store.blobs) / checked(intent.id)


def _finish(store: Place, intent: Intent) -> None:
    """Enter what was being placed and is in its place; remove what was struck out."""
    place = _place(store, intent)
    is_tree = intent.noun == "layer"
    listed = bool(
        store.index.trees(store.layers, intent.id)
        if is_tree
        else store.index.blobs(store.blobs, intent.id)
    )
    if intent.act == "removing" and not listed:
        take_away(store, place)
        undescribed(store.about, intent.noun, intent.id)
    if intent.act == "placing" and not listed and os.path.lexists(place):
        if is_tree and (tree := described_tree(store.about, place)) is not None:
            store.index.add_tree(tree)
        if not is_tree and (blob := described_blob(store.about, place)) is not None:
            store.index.add_blob(blob)
    store.index.done([intent])


def discard(store: Place, path: Path) -> None:
    """Remove a directory at once, or, if it is held, leave that to a later `sweep`."""
    target = store.tmp / f"gone-{os.urandom(8).hex()}"
    try:
        path.rename(target)
    except FileNotFoundError:
        return
    with suppress(OSError), held_directory(target) as free:
        if free:
            remove_tree(target)


def take_away(store: Place, path: Path) -> None:
    """Move something out of its place at once; the next `sweep` removes it in its own time."""
    with suppress(FileNotFoundError):
        path.rename(store.tmp / f"gone-{os.urandom(8).hex()}")
