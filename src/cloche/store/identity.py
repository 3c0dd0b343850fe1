"""Which store this is, and whose: a random id, in a file and in the index, and a user's ids."""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from cloche.store.descriptions import describe
from cloche.store.errors import DamagedIndexError, StoreError
from cloche.store.index import Index
from cloche.store.layout import fsync
from cloche.store.owner import PROBE, IdMap, Owner, check_place, current
from cloche.store.records import Blob, Tree

FILE = "identity"
_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """What is in the file. ``id`` is random; ``owner`` is None for what an older cloche wrote."""

    id: str
    owner: Owner | None = None


def read_identity(store: Path) -> Identity | None:
    """The identity of a store; None where it has none that can be read, as old ones do."""
    try:
        data = json.loads((store / FILE).read_bytes())
        id = data["id"]
        maps = [IdMap(*map(int, data[name])) for name in ("uids", "gids") if name in data]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(id, str) or not _ID.match(id):
        return None
    return Identity(id, Owner(*maps) if len(maps) == 2 else None)


def write_identity(store: Path, id: str, owner: Owner, probe: tuple[int, int]) -> None:
    """Put an identity on disk; ``probe`` are the file's owner and group. Raises OSError."""
    new = store / "tmp" / f"identity-{os.urandom(8).hex()}"
    maps = {"uids": astuple(owner.uids), "gids": astuple(owner.gids)}
    with new.open("w") as file:
        file.write(json.dumps({"id": id, **maps}) + "\n")
        file.flush()
        os.fchown(file.fileno(), *probe)
        os.fsync(file.fileno())
    new.rename(store / FILE)
    fsync(store)


def check_owner(store: Path) -> None:
    """Raise `StoreError` where the store, or the place for it, is not this user's."""
    check_place(store)
    if os.geteuid() != 0:
        raise StoreError(
            "a store can only be used as uid 0, for an ordinary user in a user namespace",
            where=store,
            todo="call `cloche.sandbox.userns.enter` first; where there are threads, use "
            "`cloche.broker.executor.Workers`",
        )
    identity = read_identity(store)
    if identity is None or identity.owner is None:
        return
    info = (store / FILE).stat()
    if (info.st_uid, info.st_gid) != (PROBE, PROBE):
        # The range of subordinate ids has changed, or the store was copied without its owners.
        raise StoreError(
            f"this store was made by {identity.owner.name} with other user and group ids "
            "(another range in /etc/subuid, or a copy that lost its owners)",
            where=store,
            todo=f"`sudo cloche --store {store} store adopt` restores the owners of its files",
        )


def is_empty(store: Path) -> bool:
    """Whether there are neither trees nor blobs, so that no index is lost where there is none."""
    return not any(any((store / name).iterdir()) for name in ("layers", "blobs"))


def is_cut(index: Path) -> bool:
    """Whether an index lacks a part of its last page, which SQLite itself takes for zeros.

    See "The Database Header" in SQLite's file format. While there is a log, SQLite decides.
    """
    log = index.with_name(f"{index.name}-wal")
    with suppress(FileNotFoundError):  # the last process to close the index removes the log
        if log.stat().st_size:
            return False
    with index.open("rb") as file:
        page = int.from_bytes(file.read(18)[16:18])
    return page > 1 and index.stat().st_size % page != 0


def own_index(store: Path, *, settle: bool = True) -> Index:
    """Open the index of a store, which is made for an empty store alone.

    A store from before there were identities and descriptions gets them, unless ``settle`` is
    false. Raises
    `StoreError`, and leaves everything as it is.
    """
    file, identity, new = store / "index.sqlite", read_identity(store), is_empty(store)
    if not new and not file.exists():
        raise DamagedIndexError(file, "it is missing")
    if not new and file.stat().st_size == 0:
        raise DamagedIndexError(file, "it is empty")
    if not new and is_cut(file):
        raise DamagedIndexError(file, "its end is missing")
    index = Index(file, identity.id if identity else None, new=new)
    if not settle:
        return index
    try:
        if identity is None:
            things: list[Tree | Blob] = [*index.trees(store / "layers")]
            things += index.blobs(store / "blobs")
            for thing in things:
                describe(store / "about", thing)
        if identity is None or identity.owner is None:
            write_identity(store, index.store, current(), (PROBE, PROBE))
    except BaseException:
        index.close()
        raise
    return index
