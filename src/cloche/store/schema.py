"""The tables of an index, and bringing them up to date: what an index must be to be used at all."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path

from cloche.store.errors import DamagedIndexError, too_new

MIGRATIONS = (
    """
    CREATE TABLE trees (id TEXT PRIMARY KEY, kind TEXT NOT NULL, label TEXT NOT NULL,
        exact TEXT NOT NULL, files INTEGER NOT NULL, size INTEGER NOT NULL, created REAL NOT NULL);
    CREATE TABLE blobs (id TEXT PRIMARY KEY, label TEXT NOT NULL, size INTEGER NOT NULL,
        created REAL NOT NULL);
    CREATE TABLE actions (key TEXT PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,
        parts TEXT NOT NULL, outputs TEXT NOT NULL, seconds REAL NOT NULL, log TEXT,
        created REAL NOT NULL);
    CREATE INDEX actions_by_name ON actions (kind, name, created);
    CREATE TABLE durations (kind TEXT NOT NULL, name TEXT NOT NULL, seconds REAL NOT NULL,
        created REAL NOT NULL);
    CREATE INDEX durations_by_name ON durations (kind, name, created);
    CREATE TABLE pins (name TEXT PRIMARY KEY, trees TEXT NOT NULL, blobs TEXT NOT NULL,
        data TEXT NOT NULL, created REAL NOT NULL);
    """,
    """
    CREATE TABLE store (id TEXT NOT NULL);
    CREATE TABLE intents (noun TEXT NOT NULL, id TEXT NOT NULL, act TEXT NOT NULL,
        PRIMARY KEY (noun, id));
    """,
    "ALTER TABLE actions ADD COLUMN data TEXT NOT NULL DEFAULT '{}'",
)
"""Migration N brings ``user_version`` from N to N + 1. Append; never change a released one."""

SCHEMA = len(MIGRATIONS)
TABLES = ("trees", "blobs", "actions", "durations", "pins", "store", "intents")
_KNOWS_ITS_STORE = 2  # the first schema with the store's id
_NO_VERSION = 1000  # no cloche will come that far: larger ones are damage


def settle(db: sqlite3.Connection, path: Path, store: str | None, new: bool) -> str:
    """Bring the schema up to date; give the id of the store that the index belongs to.

    ``store`` and ``new`` as for `Index`. To be called within a transaction. Raises
    `StoreError`, and what SQLite says of a damaged file.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if not 0 <= version <= _NO_VERSION:
        raise DamagedIndexError(path, f"its version is {version}")
    if version > SCHEMA:
        raise too_new(path, version, SCHEMA)
    if not new and version == 0:
        raise DamagedIndexError(path, "it is empty")
    if not new and store is not None and version < _KNOWS_ITS_STORE:
        raise DamagedIndexError(path, "it is older than its store")
    for migration in MIGRATIONS[version:]:
        for statement in migration.split(";"):
            db.execute(statement)
    if version < SCHEMA:
        db.execute(f"PRAGMA user_version={SCHEMA}")
    _check(db, path)
    row = db.execute("SELECT id FROM store").fetchone()
    if row is None:
        row = (store or secrets.token_hex(16),)
        db.execute("INSERT INTO store VALUES (?)", row)
    if store is not None and row[0] != store:
        raise DamagedIndexError(path, "it is the index of another store")
    return str(row[0])


def _check(db: sqlite3.Connection, path: Path) -> None:
    tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    if lost := set(TABLES) - tables:
        raise DamagedIndexError(path, f"it has no table {min(lost)}")
    said = db.execute("PRAGMA quick_check(1)").fetchone()[0]
    if said != "ok":
        raise DamagedIndexError(path, str(said))
