"""Which store this is: a random id, in a file of the store and in its index."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from cloche.store.descriptions import describe
from cloche.store.errors import DamagedIndexError
from cloche.store.index import Index
from cloche.store.layout import fsync
from cloche.store.records import Blob, Tree

FILE = "identity"
_ID = re.compile(r"[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Identity:
    """What is in the file. ``id`` is random."""

    id: str


def read_identity(store: Path) -> Identity | None:
    """The identity of a store; None where it has none that can be read, as old ones do."""
    try:
        data = json.loads((store / FILE).read_bytes())
        id = data["id"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Identity(id) if isinstance(id, str) and _ID.match(id) else None


def write_identity(store: Path, identity: Identity) -> None:
    """Put an identity on disk. Raises OSError."""
    new = store / "tmp" / f"identity-{os.urandom(8).hex()}"
    with new.open("w") as file:
        file.write(json.dumps(asdict(identity)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.rename(store / FILE)
    fsync(store)


def is_empty(store: Path) -> bool:
    """Whether there are neither trees nor blobs, so that no index is lost where there is none."""
    return not any(any((store / name).iterdir()) for name in ("layers", "blobs"))


def is_cut(index: Path) -> bool:
    """Whether an index lacks a part of its last page, which SQLite itself takes for zeros.

    See "The Database Header" in SQLite's file format. While there is a log, SQLite decides.
    """
    log = index.with_name(f"{index.name}-wal")
    if log.exists() and log.stat().st_size:
        return False
    with index.open("rb") as file:
        page = int.from_bytes(file.read(18)[16:18])
    return page > 1 and index.stat().st_size % page != 0


def own_index(store: Path) -> Index:
    """Open the index of a store, which is made for an empty store alone.

    A store from before there were identities and descriptions gets them. Raises
    `DamagedIndexError` and `StoreTooNewError`, and leaves everything as it is.
    """
    file, identity, new = store / "index.sqlite", read_identity(store), is_empty(store)
    if not new and not file.exists():
        raise DamagedIndexError(file, "it is missing")
    if not new and file.stat().st_size == 0:
        raise DamagedIndexError(file, "it is empty")
    if not new and is_cut(file):
        raise DamagedIndexError(file, "its end is missing")
    index = Index(file, identity.id if identity else None, new=new)
    try:
        if identity is None:
            things: list[Tree | Blob] = [*index.trees(store / "layers")]
            things += index.blobs(store / "blobs")
            for thing in things:
                describe(store / "about", thing)
            write_identity(store, Identity(index.store))
    except BaseException:
        index.close()
        raise
    return index
