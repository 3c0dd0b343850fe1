"""The store: trees, files and what is known about them, in one directory.

``version`` is the format's number; ``layers/ID`` are trees that serve as an overlay's lower
directories at once; ``blobs/ID`` files; ``index.sqlite`` what is known of both (see `index` for the
order that keeps them in step), ``backup`` copies of it; ``identity`` a random id that the index has
as well; ``about`` what each tree and blob is, for when the index is lost; ``unions`` are a cache
(see there); ``distfiles``, ``downloads``, ``logs`` and ``failed/NAME`` (kept roots of failed
builds) belong to their writers; ``tmp`` holds workspaces; ``locks`` and ``lock`` are files for
flock(2).
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cloche.errors import Exit
from cloche.linux.paths import make_plain
from cloche.store.backup import back_up
from cloche.store.descriptions import describe
from cloche.store.errors import (
    StoreBusyError,
    StoreError,
    not_a_store,
    unknown_object,
)
from cloche.store.holders import holders
from cloche.store.identity import check_owner, own_index
from cloche.store.incoming import take_content
from cloche.store.layout import checked, fsync, make_store, settle_version, syncfs
from cloche.store.locks import held, held_directory, hold, open_lock, release, try_hold
from cloche.store.place import Place
from cloche.store.records import Action, Blob, Pin, Tree
from cloche.store.removal import remove_tree
from cloche.store.sweep import discard, settle, sweep, take_away
from cloche.store.tree import open_directory
from cloche.store.unions import Union, unneeded

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR)
Waiting = Callable[[str], None]
"""Called once, with a sentence for the reader, before a lock is waited for."""


def occupy(path: Path, *, exclusive: bool, waiting: Waiting | None = None) -> int:
    """Take a store's lock, after its directories are made where they are missing; see `Store.open`.

    The lock's descriptor is for `release`.
    """
    try:
        check_owner(path)
        make_store(path)
        return _locked(path, exclusive=exclusive, waiting=waiting)
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        raise StoreError(
            f"the store cannot be written: {error.strerror}",
            where=path,
            todo="name one of your own with --store or $CLOCHE_STORE",
            status=Exit.HOST,
        ) from error


def occupy_as_it_is(path: Path, waiting: Waiting | None) -> int:
    """As `occupy`, alone and whosever the store is. Raises `StoreError` where there is none."""
    if not (path / "version").is_file():
        raise not_a_store(path, "no file `version`")
    return _locked(path, exclusive=True, waiting=waiting)


def _locked(path: Path, *, exclusive: bool, waiting: Waiting | None) -> int:
    fd = open_lock(path / "lock")
    try:
        _take(path, fd, exclusive=exclusive, waiting=waiting)
        settle_version(path)
    except BaseException:
        release(fd)
        raise
    return fd


def _take(path: Path, fd: int, *, exclusive: bool, waiting: Waiting | None) -> None:
    """Take the lock. Raises `StoreBusyError`, or waits where there is ``waiting``."""
    if not try_hold(fd, shared=not exclusive):
        busy = StoreBusyError(path, exclusive=exclusive, holders=holders(fd))
        if waiting is None:
            raise busy
        waiting(f"{busy.what}; waiting")
        hold(fd, shared=not exclusive)


class Store(Place):
    """An open store. Safe to use from several threads; not across fork(2) (SQLite forbids it)."""

    def __init__(self, path: Path, lock: int, *, exclusive: bool) -> None:
        with held(path / "locks" / "setup"):
            super().__init__(path, own_index(path))
        self.exclusive = exclusive
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, exclusive: bool = False, waiting: Waiting | None = None) -> Store:
        """Open the store in ``path``, which is made where it is missing, and sweep dead things.

        Many may share a store; ``exclusive`` keeps all others out, for garbage collection and
        repair. When another process is in the way this raises `StoreBusyError`, or, given
        ``waiting``, calls it and waits. Raises `StoreError` as well.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a user's links
        fd = occupy(path, exclusive=exclusive, waiting=waiting)
        try:
            store = cls(path, fd, exclusive=exclusive)
        except BaseException:
            release(fd)
            raise
        try:
            sweep(store)
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Give the store up. May be called again."""
        if self._lock >= 0:
            back_up(self.path, self.index)
            self.index.close()
            release(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def alone(self, waiting: Waiting | None = None) -> Iterator[None]:
        """Keep all others out for a block; what they did before it began has to be looked at anew.

        Raises `StoreBusyError`, or waits for the others where there is ``waiting``.
        """
        if self.exclusive:
            yield
            return
        try:
            _take(self.path, self._lock, exclusive=True, waiting=waiting)
        except StoreBusyError:
            hold(self._lock, shared=True)  # flock(2): who fails to convert a lock has lost it
            raise
        self.exclusive = True
        try:
            yield
        finally:
            self.exclusive = False
            hold(self._lock, shared=True)

    def others(self) -> tuple[str, ...]:
        """The other processes that use the store, in words; none where the kernel does not say."""
        return holders(self._lock)

    def need_exclusive(self) -> None:
        """Raise `StoreError` unless nobody else can be using the store."""
        if not self.exclusive:
            raise StoreError(
                "this requires exclusive access to the store",
                where=self.path,
                todo="open it with exclusive=True",
                status=Exit.HOST,
            )

    # Trees

    def has_tree(self, id: str) -> bool:
        """Whether the tree is known and in its place."""
        return self._tree(id) is not None

    def tree(self, id: str) -> Tree:
        """The tree of this id. Raises `StoreError`."""
        tree = self._tree(id)
        if tree is None:
            raise unknown_object(self.path, "layer", id)
        return tree

    def _tree(self, id: str) -> Tree | None:
        found = self.index.trees(self.layers, checked(id))
        return found[0] if found and found[0].path.is_dir() else None

    def add_tree(
        self, source: Path, *, id: str, exact: str, kind: str, label: str, files: int, size: int
    ) -> Tree:
        """Move ``source``, a directory in `tmp`, into its place for good.

        Layers never change: where there is a tree of this id already it stays, and ``source`` is
        removed. ``exact`` is the tree's `exact_digest`; the caller answers for ``id``.
        """
        tree = Tree(id, kind, label, exact, files, size, time.time(), self.layers / checked(id))
        return self.add_trees([(source, tree)])[0]

    def add_trees(self, new: Sequence[tuple[Path, Tree]]) -> list[Tree]:
        """As `add_tree`, for many at once: the disk is waited for only twice."""
        wanted = [(source, tree) for source, tree in new if not self.has_tree(tree.id)]
        for _, tree in wanted:
            describe(self.about, tree)
        if wanted:
            syncfs(wanted[0][0])  # before the renames: what is in place is on disk
            with self.placing():
                self._place(wanted)
        for source, _ in new:
            remove_tree(source)
        return [self.tree(tree.id) for _, tree in new]

    def _place(self, wanted: Sequence[tuple[Path, Tree]]) -> None:
        placed: dict[str, Tree] = {}
        self.index.intend(
            "placing", "layer", [tree.id for _, tree in wanted if not self.has_tree(tree.id)]
        )
        for source, tree in wanted:
            if tree.id not in placed and not self.has_tree(tree.id):
                take_away(self, tree.path)  # an unknown one, in whose place the same layer comes
                source.rename(tree.path)
                placed[tree.id] = tree
        fsync(self.layers)
        for tree in placed.values():
            self.index.add_tree(tree)

    # Blobs

    def has_blob(self, id: str) -> bool:
        """Whether the blob is known and in its place."""
        return self._blob(id) is not None

    def blob(self, id: str) -> Blob:
        """The blob of this id. Raises `StoreError`."""
        blob = self._blob(id)
        if blob is None:
            raise unknown_object(self.path, "blob", id)
        return blob

    def _blob(self, id: str) -> Blob | None:
        found = self.index.blobs(self.blobs, checked(id))
        return found[0] if found and found[0].is_whole else None

    def add_blob(self, source: Path, label: str) -> Blob:
        """Move the file ``source`` into the store: ``source`` is removed.

        To keep it, give a copy. It may belong to another user of the store's. Raises OSError where
        it is not a regular file.
        """
        with self.workspace("blob") as room:
            mine, digest = room / "blob", hashlib.sha256()
            size = take_content(source, mine, [digest])
            source.unlink()
            id = digest.hexdigest()
            place = self.blobs / id
            with self.placing():
                if not self.has_blob(id):
                    blob = Blob(id, label, size, time.time(), place)
                    describe(self.about, blob)
                    self.index.intend("placing", "blob", [id])
                    mine.rename(place)
                    fsync(self.blobs)
                    self.index.add_blob(blob)
        return self.blob(id)

    # Actions

    def has(self, id: str) -> bool:
        """Whether a tree or a blob of this id is there."""
        return self.has_tree(id) or self.has_blob(id)

    def action(self, key: str) -> Action | None:
        """The action of this key, when it was done and all of its outputs are still there."""
        action = self.index.action(key)
        if action is None or not all(map(self.has, action.outputs.values())):
            return None
        return action

    def record(self, action: Action) -> None:
        """Keep an action. Raises `StoreError` when an output is not in the store."""
        for id in action.outputs.values():
            if not self.has(id):
                raise unknown_object(self.path, "layer", id)
        self.index.record(action)

    def last_action(self, kind: str, name: str) -> Action | None:
        """The newest action of this kind and name, whether its outputs are still there or not."""
        return self.index.last_action(kind, name)

    def actions_of(self, kind: str, name: str) -> list[Action]:
        """Every action of this kind and name, the oldest first."""
        return self.index.actions_of(kind, name)

    def action_names(self, kind: str) -> tuple[str, ...]:
        """The names of which there is an action of this kind, in order."""
        return tuple(self.index.action_names(kind))

    def durations(self, kind: str, name: str) -> list[float]:
        """Seconds that the last runs of this kind and name took, the oldest first."""
        return self.index.durations(kind, name)

    def durations_like(self, kind: str, prefix: str) -> list[tuple[str, float]]:
        """The same for every name that begins with ``prefix``, each run with its name."""
        return self.index.durations_like(kind, prefix)

    # Pins

    def pin(
        self, name: str, trees: Iterable[str], blobs: Iterable[str], data: Mapping[str, Any]
    ) -> Pin:
        """Keep trees and blobs from `gc`, under a name; replaces the pin of that name.

        ``data`` is the caller's own, in types that JSON knows.
        """
        pin = Pin(name, tuple(trees), tuple(blobs), dict(data), time.time())
        self.index.pin(pin)
        return pin

    def pin_of(self, name: str) -> Pin | None:
        """The pin of this name."""
        return next(iter(self.index.pins(name, exactly=True)), None)

    def pins(self, prefix: str = "") -> list[Pin]:
        """The pins whose names begin with ``prefix``, by name."""
        return self.index.pins(prefix)

    def unpin(self, name: str) -> bool:
        """Take a pin away; says whether there was one."""
        return self.index.unpin(name)

    # Workspaces and locks

    @contextmanager
    def workspace(self, prefix: str) -> Iterator[Path]:
        """A new empty directory in `tmp` (mode 0700), removed with all it holds after the block.

        Held by a lock on the directory itself, which a killed process gives up.
        """
        with held(self.path / "locks" / "tmp"):  # no sweep between making and holding it
            room = Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self.tmp))
            make_plain(room, 0o700)
            fd = open_directory(room)
            hold(fd)
        try:
            yield room
        finally:
            try:
                remove_tree(room)
            finally:
                release(fd)

    def lock(
        self, name: str, waiting: Callable[[], None] | None = None
    ) -> AbstractContextManager[None]:
        """Hold the lock ``name`` for a block, against other processes and threads."""
        # A prefix keeps users' names apart from the store's own locks.
        return held(self.path / "locks" / f"key-{urllib.parse.quote(name, safe='')}", waiting)

    def discard(self, path: Path) -> None:
        """Remove a directory that lies in the store, once nobody holds it."""
        discard(self, path)

    def hold(self, path: Path) -> AbstractContextManager[bool]:
        """Keep a directory from being removed for a block; says whether nobody else does."""
        return held_directory(path)

    def drop_unions(self, unions: Iterable[Union]) -> None:
        """Take unions away. Raises `StoreError`: someone might be using them."""
        self.need_exclusive()
        for union in unions:
            take_away(self, union.path)

    def remove(self, *, trees: Iterable[str], blobs: Iterable[str], actions: Iterable[str]) -> None:
        """Strike out and move aside; the next `sweep` gives the room back.

        Raises `StoreError`: someone might be using them.
        """
        self.need_exclusive()
        trees = list(trees)
        # First: no union may outlive a damaged layer, whose files it shares.
        left = {tree.id for tree in self.trees()}.difference(trees)
        self.drop_unions(unneeded(self, left, since=0.0))
        with self.placing():
            self.index.strike(trees=trees, blobs=blobs, actions=actions)
        settle(self)
