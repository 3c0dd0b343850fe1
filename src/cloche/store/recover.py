"""Making the index of a store again, from what lies there.

Rows come from the index, as far as it can be read, and from its copies in ``backup``; what trees
and blobs are, from their descriptions; what has neither, from its content. Nothing is believed:
each object is read, and enters the index only when its digest is the one that was given for it.
Nothing is removed: the old index is put aside, and what cannot be entered stays where it is.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from cloche.store.backup import NEWEST, OLDER, sound
from cloche.store.descriptions import described_blob, described_tree
from cloche.store.errors import DamagedIndexError, StoreError
from cloche.store.identity import is_cut, is_empty, read_identity, write_identity
from cloche.store.index import Index
from cloche.store.layout import INDEX_FILES, checked, fsync
from cloche.store.locks import held, release
from cloche.store.names import RECOVERED
from cloche.store.owner import PROBE, current
from cloche.store.records import Blob, Pin, Tree
from cloche.store.removal import remove_tree
from cloche.store.store import Waiting, occupy
from cloche.store.tree import Entry, exact_digest, measure, walk

Identify = Callable[[Path, Sequence[Entry]], Collection[str]]
Say = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class RecoverReport:
    """What `recover` did, or would do.

    ``sources`` are the files from which pins and actions came; ``trees`` and ``blobs`` count what
    is in the index now, ``entered`` of them were unknown to it; ``unproven`` are paths of objects
    whose content is not what anything says of them. ``damaged`` is where the old index lies now.
    """

    sources: tuple[str, ...]
    trees: int
    blobs: int
    pins: int
    actions: int
    entered: tuple[str, ...]
    unproven: tuple[str, ...]
    damaged: str | None


def recover(
    path: Path,
    *,
    identify: Identify,
    dry_run: bool = False,
    progress: Say | None = None,
    waiting: Waiting | None = None,
) -> RecoverReport:
    """Make a store's index again; the store must not be open. See `Store.open` for what it raises.

    ``identify`` computes the ids that a layer can have from its directory and its `walk`.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a user's links
    fd = occupy(path, exclusive=True, waiting=waiting)
    room = Path(tempfile.mkdtemp(prefix="recover-", dir=path / "tmp"))
    try:
        with held(path / "locks" / "setup"):
            return _recover(path, room, identify, dry_run, progress)
    finally:
        remove_tree(room)
        release(fd)


def _recover(
    path: Path, room: Path, identify: Identify, dry_run: bool, progress: Say | None
) -> RecoverReport:
    identity = read_identity(path)
    id = identity.id if identity else None
    present = _copied(path, room)
    whole = present is not None and _whole(path, present, id)
    with closing(Index(room / "new.sqlite", id or secrets.token_hex(16))) as index:
        sources = _rows(path, present, whole, index)
        rows: set[str] = set()
        if whole:
            rows = {tree.id for tree in index.trees(path)} | {b.id for b in index.blobs(path)}
        found = list(_objects(path, index, identify, progress))
        things = [thing for _, thing in found if thing is not None]
        unproven = tuple(str(place) for place, thing in found if thing is None)
        trees = [thing for thing in things if isinstance(thing, Tree)]
        blobs = [thing for thing in things if isinstance(thing, Blob)]
        index.replace_objects(trees, blobs)
        entered = tuple(thing.id for thing in things if thing.id not in rows)
        _pin(index, trees, blobs, set(entered))
        report = RecoverReport(
            sources, len(trees), len(blobs), len(index.pins()), len(index.actions()),
            entered, unproven, None,
        )  # fmt: skip
        store = index.store
    if dry_run or (whole and rows == {thing.id for thing in things}):
        return report
    damaged = _swap(path, room / "new.sqlite")
    owner = (identity.owner if identity else None) or current()
    write_identity(path, store, owner, (PROBE, PROBE))
    return replace(report, damaged=str(damaged) if damaged else None)


def _copied(path: Path, room: Path) -> Path | None:
    """A copy of the present index: reading one can change it, and the original is evidence."""
    if not (path / INDEX_FILES[0]).is_file():
        return None
    for name in INDEX_FILES[:2]:
        with suppress(FileNotFoundError):
            shutil.copyfile(path / name, room / name)
    return room / INDEX_FILES[0]


def _whole(path: Path, copy: Path, id: str | None) -> bool:
    """Whether the present index could be used as it is. Raises `StoreError` where it is newer."""
    if is_cut(path / INDEX_FILES[0]):
        return False
    try:
        with closing(Index(copy, id, new=is_empty(path))) as index:
            index.check()
    except (DamagedIndexError, sqlite3.Error):
        return False
    return True


def _rows(path: Path, present: Path | None, whole: bool, index: Index) -> tuple[str, ...]:
    """Take rows from the present index, and from the newest sound copy where that is damaged."""
    used = []
    if present is not None and index.take_rows(present):
        used.append(str(path / INDEX_FILES[0]))
    if not whole:
        for name in (NEWEST, OLDER):
            copy = path / "backup" / name
            if copy.is_file() and sound(copy, index.store) and index.take_rows(copy):
                used.append(str(copy))
                break
    return tuple(used)


def _objects(
    path: Path, index: Index, identify: Identify, progress: Say | None
) -> Iterator[tuple[Path, Tree | Blob | None]]:
    """Each object in its place, with what it is, if that is proven."""
    trees = {tree.id: tree for tree in index.trees(path / "layers")}
    blobs = {blob.id: blob for blob in index.blobs(path / "blobs")}
    places = [*sorted((path / "layers").iterdir()), *sorted((path / "blobs").iterdir())]
    for done, place in enumerate(places):
        if progress is not None:
            progress(done, len(places), place.name[:16])
        thing: Tree | Blob | None = None
        with suppress(OSError, StoreError):
            checked(place.name)
            if place.parent.name == "layers":
                known = (trees.get(place.name), described_tree(path / "about", place))
                thing = _tree(place, known, identify)
            else:
                known_blob = blobs.get(place.name) or described_blob(path / "about", place)
                thing = _blob(place, known_blob)
        yield place, thing


def _tree(place: Path, known: Sequence[Tree | None], identify: Identify) -> Tree | None:
    entries = walk(place)
    exact = exact_digest(entries)
    for tree in known:
        if tree is not None and tree.exact == exact:
            return tree
    if place.name not in identify(place, entries):
        return None
    files, size = measure(entries)
    return Tree(place.name, "recovered", "", exact, files, size, time.time(), place)


def _blob(place: Path, known: Blob | None) -> Blob | None:
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != place.name:
            return None
        size = os.fstat(fd).st_size
    return known or Blob(place.name, "recovered", size, time.time(), place)


def _pin(index: Index, trees: Sequence[Tree], blobs: Sequence[Blob], entered: set[str]) -> None:
    """Keep what was entered from `gc`: the pins that named it may be lost."""
    pinned = {id for pin in index.pins() for id in (*pin.trees, *pin.blobs)}
    loose = entered - pinned
    if loose:
        name = f"{RECOVERED}{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
        kept_trees = tuple(tree.id for tree in trees if tree.id in loose)
        kept_blobs = tuple(blob.id for blob in blobs if blob.id in loose)
        index.pin(Pin(name, kept_trees, kept_blobs, {}, time.time()))


def _swap(path: Path, new: Path) -> Path | None:
    """Put the old index aside, and the new one in its place; give where the old one lies."""
    aside = path / "backup" / f"damaged-{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(2).hex()}"
    old = [path / name for name in INDEX_FILES if (path / name).exists()]
    if old:
        aside.mkdir()
        for file in old:
            os.link(file, aside / file.name, follow_symlinks=False)
    fd = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    for name in INDEX_FILES[1:]:  # they would be taken for the new one's
        (path / name).unlink(missing_ok=True)
    new.rename(path / INDEX_FILES[0])
    fsync(path)
    return aside if old else None
