"""The index of a store: one SQLite file, and every SQL statement of cloche.

The rule that keeps the store whole: *a row means that its tree or blob is there, whole and on
disk*. Things are put in place first and entered second, and are struck out first and removed
second. What a killed process leaves is therefore a directory without a row, which nobody uses and
the next `open` takes away. WAL with ``synchronous=NORMAL`` may lose the last rows in a power cut
but never reorders them, so a row can be lost (its tree is swept) and never come too early. Only
striking out needs more: a lost deletion would bring back the row of a removed tree, so `strike`
waits for the disk.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloche.store.errors import StoreTooNewError
from cloche.store.records import Action, Blob, Pin, Tree

_MIGRATIONS = (
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
)
"""Migration N brings ``user_version`` from N to N + 1. Append; never change a released one."""

SCHEMA = len(_MIGRATIONS)
_KEEP_DURATIONS = 20  # per kind and name; enough for a median
_BUSY_SECONDS = 60.0


class Index:
    """The open index. Safe to use from several threads: one connection, one lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._migrate()
        except BaseException:
            self._db.close()
            raise

    def _migrate(self) -> None:
        with self.transaction():
            version = int(self._db.execute("PRAGMA user_version").fetchone()[0])
            if version > SCHEMA:
                raise StoreTooNewError(self._path, version, SCHEMA)
            for migration in _MIGRATIONS[version:]:
                for statement in migration.split(";"):
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={SCHEMA}")

    def close(self) -> None:
        """Close the connection; the index must not be used any more."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes meanwhile."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    # Trees and blobs

    def add_tree(self, tree: Tree) -> None:
        """Enter a tree that lies in its place."""
        self._rows(
            "INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?, ?, ?, ?)",
            tree.id, tree.kind, tree.label, tree.exact, tree.files, tree.size, tree.created,
        )  # fmt: skip

    def trees(self, layers: Path, id: str | None = None) -> list[Tree]:
        """The tree ``id`` or all of them, by id; ``layers`` is where they lie."""
        return [
            Tree(**row, path=layers / row["id"])
            for row in (
                self._rows("SELECT * FROM trees ORDER BY id")
                if id is None
                else self._rows("SELECT * FROM trees WHERE id = ?", id)
            )
        ]

    def add_blob(self, blob: Blob) -> None:
        """Enter a blob that lies in its place."""
        self._rows(
            "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)",
            blob.id, blob.label, blob.size, blob.created,
        )  # fmt: skip

    def blobs(self, directory: Path, id: str | None = None) -> list[Blob]:
        """The blob ``id`` or all of them, by id; ``directory`` is where they lie."""
        return [
            Blob(**row, path=directory / row["id"])
            for row in (
                self._rows("SELECT * FROM blobs ORDER BY id")
                if id is None
                else self._rows("SELECT * FROM blobs WHERE id = ?", id)
            )
        ]

    def strike(
        self,
        *,
        trees: Iterable[str] = (),
        blobs: Iterable[str] = (),
        actions: Iterable[str] = (),
    ) -> None:
        """Strike out trees, blobs and actions at once; on disk when this returns."""
        with self.transaction():
            self._db.executemany("DELETE FROM trees WHERE id = ?", [(id,) for id in trees])
            self._db.executemany("DELETE FROM blobs WHERE id = ?", [(id,) for id in blobs])
            self._db.executemany("DELETE FROM actions WHERE key = ?", [(key,) for key in actions])
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    # Actions

    def record(self, action: Action) -> None:
        """Enter an action, in the place of one with the same key, and how long it took."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO actions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (action.key, action.kind, action.name, _dump(action.parts), _dump(action.outputs),
                 action.seconds, action.log, action.created),
            )  # fmt: skip
            name = (action.kind, action.name)
            self._db.execute(
                "INSERT INTO durations VALUES (?, ?, ?, ?)", (*name, action.seconds, action.created)
            )
            self._db.execute(
                "DELETE FROM durations WHERE kind = ? AND name = ? AND rowid NOT IN (SELECT rowid"
                " FROM durations WHERE kind = ? AND name = ?"
                " ORDER BY created DESC, rowid DESC LIMIT ?)",
                (*name, *name, _KEEP_DURATIONS),
            )

    def action(self, key: str) -> Action | None:
        """The action of this key."""
        return _first(map(_action, self._rows("SELECT * FROM actions WHERE key = ?", key)))

    def last_action(self, kind: str, name: str) -> Action | None:
        """The newest action of this kind and name, whatever its key."""
        rows = self._rows(
            "SELECT * FROM actions WHERE kind = ? AND name = ?"
            " ORDER BY created DESC, rowid DESC LIMIT 1",
            kind, name,
        )  # fmt: skip
        return _first(map(_action, rows))

    def actions_of(self, kind: str, name: str) -> list[Action]:
        """Every action of this kind and name, the oldest first."""
        rows = self._rows(
            "SELECT * FROM actions WHERE kind = ? AND name = ? ORDER BY created, rowid", kind, name
        )
        return [_action(row) for row in rows]

    def action_names(self, kind: str) -> list[str]:
        """The names of the actions of this kind, each once, in order."""
        rows = self._rows("SELECT DISTINCT name FROM actions WHERE kind = ? ORDER BY name", kind)
        return [row["name"] for row in rows]

    def actions(self) -> list[Action]:
        """All actions, the oldest first."""
        return list(map(_action, self._rows("SELECT * FROM actions ORDER BY created, rowid")))

    def durations(self, kind: str, name: str) -> list[float]:
        """Seconds that this took before, the oldest first."""
        rows = self._rows(
            "SELECT seconds FROM durations WHERE kind = ? AND name = ? ORDER BY created, rowid",
            kind, name,
        )  # fmt: skip
        return [row["seconds"] for row in rows]

    def durations_like(self, kind: str, prefix: str) -> list[tuple[str, float]]:
        """Names that begin with ``prefix``, each with seconds of a run, the oldest run first."""
        rows = self._rows(
            "SELECT name, seconds FROM durations WHERE kind = ? AND name >= ? AND name < ?"
            " ORDER BY created, rowid",
            kind, prefix, prefix + chr(0x10FFFF),
        )  # fmt: skip
        return [(row["name"], row["seconds"]) for row in rows]

    # Pins

    def pin(self, pin: Pin) -> None:
        """Enter a pin, in the place of one with the same name."""
        self._rows(
            "INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?)",
            pin.name, json.dumps(pin.trees), json.dumps(pin.blobs), _dump(pin.data), pin.created,
        )  # fmt: skip

    def unpin(self, name: str) -> bool:
        """Take a pin away; says whether there was one."""
        return bool(self._rows("DELETE FROM pins WHERE name = ? RETURNING name", name))

    def pins(self, prefix: str = "", *, exactly: bool = False) -> list[Pin]:
        """The pins whose names begin with ``prefix`` (or are it, ``exactly``), by name."""
        rows = self._rows(
            "SELECT * FROM pins WHERE name = ? OR (NOT ? AND substr(name, 1, length(?)) = ?)"
            " ORDER BY name",
            prefix, exactly, prefix, prefix,
        )  # fmt: skip
        return [
            Pin(
                name=row["name"],
                trees=tuple(json.loads(row["trees"])),
                blobs=tuple(json.loads(row["blobs"])),
                data=json.loads(row["data"]),
                created=row["created"],
            )
            for row in rows
        ]


def _dump(data: Any) -> str:
    return json.dumps(dict(data), sort_keys=True)


def _action(row: sqlite3.Row) -> Action:
    values = {**dict(row)}
    values["parts"] = json.loads(row["parts"])
    values["outputs"] = json.loads(row["outputs"])
    return Action(**values)


def _first(actions: Iterable[Action]) -> Action | None:
    return next(iter(actions), None)
