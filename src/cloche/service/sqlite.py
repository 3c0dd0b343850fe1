"""The connection to the database of the service, its schema, and rows as values."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cloche.service.errors import ServiceError

VERSION = 5
_CHANGES = {  # from each format to the next
    1: ("ALTER TABLE tokens ADD COLUMN account TEXT",),
    2: ("ALTER TABLE builds ADD COLUMN again INTEGER NOT NULL DEFAULT 0",),
    3: ("DELETE FROM environments",),  # those that do not say whose code took part
    4: (
        "UPDATE indexes SET stamp = stamp + 6, seen = ''",  # the change before took from them
        "ALTER TABLE indexes ADD COLUMN failures INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE indexes ADD COLUMN fault TEXT NOT NULL DEFAULT ''",
    ),
}

_SCHEMA = """
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL, role TEXT NOT NULL,
  target TEXT REFERENCES targets ON DELETE CASCADE, inject INTEGER NOT NULL, quota INTEGER,
  made REAL NOT NULL, used REAL, revoked REAL, account TEXT) STRICT;
CREATE TABLE targets (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, level TEXT NOT NULL,
  owner TEXT, arch TEXT NOT NULL, chost TEXT NOT NULL, profile TEXT NOT NULL,
  notes TEXT NOT NULL, made REAL NOT NULL, changed REAL NOT NULL) STRICT;
CREATE INDEX targets_by_digest ON targets (digest);
CREATE TABLE builds (
  number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, level TEXT NOT NULL,
  options TEXT NOT NULL, inject INTEGER NOT NULL, parts TEXT NOT NULL, state TEXT NOT NULL,
  repositories TEXT NOT NULL, attempts INTEGER NOT NULL, asked REAL NOT NULL, started REAL,
  ended REAL, seconds REAL NOT NULL, error TEXT, notes TEXT NOT NULL,
  again INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE INDEX builds_by_state ON builds (state);
CREATE INDEX builds_by_work ON builds (digest, level);
CREATE TABLE askers (
  build TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
  target TEXT NOT NULL REFERENCES targets ON DELETE CASCADE, token TEXT NOT NULL,
  PRIMARY KEY (build, target)) STRICT, WITHOUT ROWID;
CREATE INDEX askers_by_target ON askers (target);
CREATE TABLE outcomes (
  build TEXT NOT NULL REFERENCES builds (id) ON DELETE CASCADE, cpv TEXT NOT NULL,
  state TEXT NOT NULL, words TEXT NOT NULL, package INTEGER REFERENCES packages ON DELETE SET NULL,
  built INTEGER NOT NULL, seconds REAL NOT NULL, PRIMARY KEY (build, cpv)) STRICT, WITHOUT ROWID;
CREATE INDEX outcomes_by_package ON outcomes (package);
CREATE TABLE packages (
  id INTEGER PRIMARY KEY AUTOINCREMENT, gpkg TEXT NOT NULL UNIQUE, cpv TEXT NOT NULL,
  repository TEXT NOT NULL, use TEXT NOT NULL, path TEXT NOT NULL UNIQUE, number INTEGER NOT NULL,
  size INTEGER NOT NULL, entry TEXT NOT NULL, arch TEXT NOT NULL, chost TEXT NOT NULL,
  build TEXT, made REAL NOT NULL, used REAL NOT NULL, UNIQUE (cpv, number)) STRICT;
CREATE TABLE numbers (cpv TEXT PRIMARY KEY, last INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE environments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  package INTEGER NOT NULL REFERENCES packages ON DELETE CASCADE,
  environment BLOB NOT NULL, symbols TEXT NOT NULL, level TEXT NOT NULL, digest TEXT NOT NULL,
  UNIQUE (package, environment)) STRICT;
CREATE TABLE offers (
  digest TEXT NOT NULL, level TEXT NOT NULL,
  candidate INTEGER NOT NULL REFERENCES environments ON DELETE CASCADE,
  accepted INTEGER NOT NULL, words TEXT NOT NULL,
  PRIMARY KEY (digest, level, candidate)) STRICT, WITHOUT ROWID;
CREATE INDEX offers_by_candidate ON offers (candidate);
CREATE TABLE indexes (
  digest TEXT NOT NULL, level TEXT NOT NULL, stamp INTEGER NOT NULL, seen TEXT NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0, fault TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (digest, level)) STRICT, WITHOUT ROWID;
CREATE TABLE charges (token TEXT NOT NULL, at REAL NOT NULL, seconds REAL NOT NULL) STRICT;
CREATE INDEX charges_by_token ON charges (token, at);
"""

_JSON = frozenset({"notes", "use", "symbols", "parts", "options", "error", "targets"})
_PATIENCE = 2000  # milliseconds for which a service waits for others that write
T = TypeVar("T")


class Connection:
    """The open database. For one thread.

    One of an older format is brought to this one by who is ``alone`` with it, and refused to
    others. Raises ServiceError.
    """

    def __init__(self, path: Path, *, alone: bool = False) -> None:
        self.path = path
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=10.0)
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction():
            (found,) = self._one("PRAGMA user_version")
            if found == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._do(statement)
                found = VERSION
            while alone and found in _CHANGES:
                for statement in _CHANGES[found]:
                    self._do(statement)
                found += 1
            self._do(f"PRAGMA user_version = {found}")
            if found != VERSION:
                what = f"its format is {found}, this cloche reads {VERSION}"
                older = "start `cloche serve` of this cloche in the place of the one that runs"
                todo = older if found < VERSION else "use the cloche that wrote it"
                raise ServiceError(what, where=path, todo=todo)
        if alone:  # all that it serves waits along, and emerge gives up on an index after 10 s
            self._do(f"PRAGMA busy_timeout = {_PATIENCE}")

    def check(self) -> str:
        """What SQLite says of the whole database: "ok" if it is whole."""
        return str(self._one("PRAGMA integrity_check")[0])

    def keep(self) -> None:
        """See that what was committed is on the disk: a power failure may come."""
        self._do("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction; within another one, a part of it."""
        if self._connection.in_transaction:
            yield
            return
        self._do("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._do("ROLLBACK")
            raise
        self._do("COMMIT")

    def _do(self, statement: str, *values: Any) -> sqlite3.Cursor:
        bound = values[0] if values and isinstance(values[0], dict) else values
        return self._connection.execute(statement, bound)

    def _one(self, statement: str, *values: Any) -> Any:
        return self._do(statement, *values).fetchone()

    def _all(self, statement: str, *values: Any) -> list[Any]:
        return self._do(statement, *values).fetchall()

    def _insert(self, table: str, row: Mapping[str, Any]) -> int:
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        cursor = self._do(f"INSERT INTO {table} ({names}) VALUES ({marks})", dict(row))  # noqa: S608
        return cursor.lastrowid or 0


def is_older(path: Path) -> bool:
    """Whether there is a database, of an older format."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(path, timeout=10.0)) as connection:
        (found,) = connection.execute("PRAGMA user_version").fetchone()
    return 0 < int(found) < VERSION


def row_of(value: Any) -> dict[str, Any]:
    """The row of a value: lists as JSON."""
    data: dict[str, Any] = msgspec.to_builtins(value)
    return {name: json.dumps(v) if name in _JSON else v for name, v in data.items()}


def read(row: sqlite3.Row, kind: type[T]) -> T:
    """The value of a row."""
    return msgspec.convert(data_of(row), kind, strict=False)


def data_of(row: sqlite3.Row) -> dict[str, Any]:
    """A row by the names of its columns, its lists decoded."""
    return {
        name: json.loads(row[name]) if name in _JSON and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118
    }
