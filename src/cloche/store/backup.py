"""Copies of the index: two generations in ``backup``, made when a process is done with the store.

The newest is never older than the last change plus `PAUSE`: who changed something within that time
of the last copy leaves a mark, and the next one to close makes the copy.
"""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from cloche.store.errors import DamagedIndexError
from cloche.store.index import Index
from cloche.store.layout import fsync
from cloche.store.locks import held_file

NEWEST, OLDER = "index.sqlite", "index.1.sqlite"
_DUE = "due"
PAUSE = 60.0  # seconds between two copies


def back_up(store: Path, index: Index) -> None:
    """Copy the index if it changed. A copy that cannot be made is not an error."""
    backup = store / "backup"
    up_to_date = (backup / NEWEST).exists() and not (backup / _DUE).exists()
    if up_to_date and not index.changed:
        return
    with held_file(store / "locks" / "backup") as free:
        if free:  # else another process is making one
            with suppress(OSError, sqlite3.Error, DamagedIndexError):
                _back_up(backup, index)


def _back_up(backup: Path, index: Index) -> None:
    newest, new = backup / NEWEST, backup / "index.new.sqlite"
    age = time.time() - newest.stat().st_mtime if newest.exists() else PAUSE
    (backup / _DUE).touch()
    if 0 <= age < PAUSE:
        return
    new.unlink(missing_ok=True)
    index.copy(new)
    if sound(new, index.store):
        fd = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        with suppress(FileNotFoundError):
            newest.replace(backup / OLDER)
        new.rename(newest)
        fsync(backup)
        (backup / _DUE).unlink(missing_ok=True)


def sound(file: Path, store: str | None) -> bool:
    """Whether a copy is whole, and of the store of this id (of any, for None)."""
    try:
        with closing(sqlite3.connect(f"file:{_quoted(file)}?mode=ro", uri=True)) as db:
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                return False
            found = db.execute("SELECT id FROM store").fetchone()
            return found is not None and store in (None, found[0])
    except (sqlite3.Error, UnicodeDecodeError):
        return False


def _quoted(file: Path) -> str:
    return str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
