"""The store's directory: making it, recognising it, and getting things onto the disk."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from cloche.store.errors import StoreError, not_a_store, too_new
from cloche.store.locks import held
from cloche.store.tree import open_directory

FORMAT = 1
"""The format that this code writes, and the newest that it reads."""

_DIRECTORIES = (
    *("layers", "unions", "blobs", "distfiles", "downloads", "logs", "tmp", "failed", "locks"),
    *("about", "backup", "freshroots"),
)
_CLOSED = ("tmp", "failed", "freshroots")  # to all others: builds and users write there
INDEX_FILES = ("index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "index.sqlite-journal")
"""The index and what SQLite has beside it; the journal only before it is in WAL mode."""

_FILES = ("version", "identity", "lock", *INDEX_FILES)
_ID = re.compile(r"[0-9a-f]{64}\Z")
_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syncfs.argtypes = [ctypes.c_int]
_LIBC.syncfs.restype = ctypes.c_int


def make_store(path: Path) -> None:
    """Make the directories of a store where they are missing.

    Raises `StoreError` for a directory that holds anything that is not a store's, so that a
    mistyped path does no harm.
    """
    path.mkdir(parents=True, exist_ok=True)
    version = path / "version"
    if not version.exists():
        for name in sorted(os.listdir(path)):  # noqa: PTH208 - names are what is wanted
            # Another process may be making the store: then it has a version by now.
            if name not in _DIRECTORIES + _FILES and not version.exists():
                raise not_a_store(path, name)
        # Builds are untrusted, and a layer may hold a setuid program: nobody else gets in.
        path.chmod(0o700)
    for name in _DIRECTORIES:
        # Read-only for others at most: the store's trees hold setuid programs.
        (path / name).mkdir(mode=0o700 if name in _CLOSED else 0o755, exist_ok=True)


def settle_version(path: Path) -> None:
    """Write the format's number into a new store, read it from an old one.

    Raises `StoreError` for a newer one.
    """
    file = path / "version"
    with held(path / "locks" / "setup"):
        if not file.exists():
            new = path / "tmp" / "version.new"
            new.write_text(f"{FORMAT}\n")
            new.rename(file)
            fsync(path)
    text = file.read_text().strip()
    if not text.isdecimal():
        raise not_a_store(path, "version")
    if int(text) > FORMAT:
        raise too_new(path, int(text), FORMAT)


def checked(id: str) -> str:
    """Give back an id that may become the name of a file. Raises `StoreError`."""
    if not _ID.match(id):
        # It must not become a path.
        raise StoreError(f"{id!r} is not an id (64 hexadecimal digits, lower case)")
    return id


def syncfs(path: Path) -> None:
    """Put the file system of a directory on disk (syncfs(2)): once instead of for every file."""
    fd = open_directory(path)
    try:
        if _LIBC.syncfs(fd) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), str(path))
    finally:
        os.close(fd)


def fsync(path: Path) -> None:
    """Put a directory's names on disk."""
    fd = open_directory(path)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
