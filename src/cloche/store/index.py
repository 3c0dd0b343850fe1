"""The index of a store: one SQLite file, and every SQL statement of cloche.

The rule that keeps the store whole: *a row means that its tree or blob is there, whole and on
disk*. Objects are put in place first and entered second, and are struck out first and removed
second. An intent says what a process was about to do, so that the next `open` finishes what a
killed one began: it enters what lies in its place, and removes what was struck out. What has
neither row nor intent is unknown, and nobody removes it unasked: the index may have lost a row.

WAL with ``synchronous=NORMAL`` may lose the last rows in a power cut but never reorders them, so a
row can be lost (its tree is unknown then) and never come too early. Only striking out needs more:
a lost deletion would bring back the row of a removed tree, so `strike` waits for the disk.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from weakref import WeakSet

from cloche.errors import ClocheError, Exit
from cloche.store.errors import DamagedIndexError, StoreError
from cloche.store.layout import checked
from cloche.store.records import Action, Blob, Intent, Pin, Tree
from cloche.store.schema import settle

_CONTENT = ("trees", "blobs", "actions", "durations", "pins")
_ADD_TREE = "INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?, ?, ?, ?)"
_ADD_BLOB = "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)"
_DAMAGE = (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_KEEP_DURATIONS = 20  # per kind and name; enough for a median
_BUSY_SECONDS = 60.0
_open: WeakSet[Index] = WeakSet()  # of this process, and of those that it was forked from


class Index:
    """The open index. Safe to use from several threads: one connection, one lock."""

    def __init__(self, path: Path, store: str | None = None, *, new: bool = True) -> None:
        """Open or make the index of the store with this id; None for one that has none yet.

        ``new`` says that the store holds nothing, so that an index without tables is no loss.
        Raises `DamagedIndexError`, and `StoreError` for a newer one.
        """
        _refuse_fork(path)
        self._path = path
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._db = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._db.row_factory = sqlite3.Row
        try:
            with self._damage_named():
                self._db.execute("PRAGMA journal_mode=WAL")
                self._db.execute("PRAGMA synchronous=NORMAL")
                with self.transaction():
                    self.store = settle(self._db, path, store, new)
        except BaseException:
            self._db.close()
            raise
        _open.add(self)

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """What SQLite says of a damaged file is a `DamagedIndexError`."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", None)
            undecodable = code is None and isinstance(error, sqlite3.OperationalError)
            if undecodable or (code is not None and code & 0xFF in _DAMAGE):
                raise DamagedIndexError(self._path, str(error)) from error
            raise
        except UnicodeDecodeError as error:  # SQLite's own words, with names out of the file
            raise DamagedIndexError(self._path, str(error)) from error

    @property
    def changed(self) -> bool:
        """Whether anything was changed through this connection."""
        return self._db.total_changes > 0

    def check(self) -> None:
        """Read all that `gc` goes by. Raises `DamagedIndexError`."""
        self.pins()
        self.actions()

    def copy(self, target: Path) -> None:
        """Write a copy of the index, as of one moment, into a new file."""
        with self._lock, closing(sqlite3.connect(target)) as copy, self._damage_named():
            self._db.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")

    def close(self) -> None:
        """Close the connection; the index must not be used any more."""
        with self._lock:
            self._db.close()
        _open.discard(self)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and nobody else writes at the same time."""
        with self._lock, self._damage_named():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one that counts
                    self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        with self._lock, self._damage_named():
            return self._db.execute(statement, values).fetchall()

    # Intents

    def intend(self, act: str, noun: str, ids: Iterable[str]) -> None:
        """Say what is about to be done with objects: "placing" or "removing"."""
        with self.transaction():
            self._intend(act, noun, ids)

    def _intend(self, act: str, noun: str, ids: Iterable[str]) -> None:
        rows = [(noun, id, act) for id in ids]
        self._db.executemany("INSERT OR REPLACE INTO intents VALUES (?, ?, ?)", rows)

    def intents(self) -> list[Intent]:
        """What was begun and not finished."""
        return [Intent(**row) for row in self._rows("SELECT * FROM intents ORDER BY noun, id")]

    def done(self, intents: Iterable[Intent]) -> None:
        """Forget intents, which are carried out."""
        rows = [(each.noun, each.id, each.act) for each in intents]
        with self.transaction():
            self._db.executemany("DELETE FROM intents WHERE (noun, id, act) = (?, ?, ?)", rows)

    # Recovery

    def take_rows(self, source: Path) -> bool:
        """Copy what is sound and not here yet from another index of this store; says if any was.

        The file may be damaged anywhere: what cannot be read, or is not what cloche writes, is
        left out. An index that says that it is another store's gives nothing.
        """
        taken = 0
        with closing(sqlite3.connect(source)) as db:
            db.row_factory = sqlite3.Row
            with suppress(sqlite3.Error, UnicodeDecodeError):
                owner = db.execute("SELECT id FROM store").fetchone()
                if owner is not None and owner[0] != self.store:
                    return False
            for table in _CONTENT:
                if table == "durations" and self._rows("SELECT 1 FROM durations LIMIT 1"):
                    continue  # they have no key that would tell which are here
                with suppress(sqlite3.Error, UnicodeDecodeError):
                    for row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608
                        taken += self._take(table, row)
        return taken > 0

    def _take(self, table: str, row: sqlite3.Row) -> int:
        try:
            if table in ("trees", "blobs"):
                checked(row["id"])
            elif table == "pins":
                self._pin(row)
            elif table == "actions":
                self._action(row)
            columns = len(row)
            marks = ", ".join("?" * columns)
            statement = f"INSERT OR IGNORE INTO {table} VALUES ({marks})"  # noqa: S608
            self._rows(statement, *tuple(row))
        except (ClocheError, sqlite3.Error, TypeError, IndexError):
            return 0
        return 1

    def replace_objects(self, trees: Iterable[Tree], blobs: Iterable[Blob]) -> None:
        """Know these trees and blobs, and no others; nothing is intended."""
        with self.transaction():
            for table in ("trees", "blobs", "intents"):
                self._db.execute(f"DELETE FROM {table}")  # noqa: S608
            self._db.executemany(_ADD_TREE, map(_tree_row, trees))
            self._db.executemany(_ADD_BLOB, map(_blob_row, blobs))

    # Trees and blobs

    def add_tree(self, tree: Tree) -> None:
        """Enter a tree that lies in its place; its intent is carried out."""
        with self.transaction():
            self._db.execute(_ADD_TREE, _tree_row(tree))
            self._db.execute("DELETE FROM intents WHERE noun = 'layer' AND id = ?", (tree.id,))

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
        """Enter a blob that lies in its place; its intent is carried out."""
        with self.transaction():
            self._db.execute(_ADD_BLOB, _blob_row(blob))
            self._db.execute("DELETE FROM intents WHERE noun = 'blob' AND id = ?", (blob.id,))

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
        """Strike out trees, blobs and actions at once; on disk when this returns.

        What is struck out is intended to be removed.
        """
        trees, blobs = list(trees), list(blobs)
        with self.transaction():
            self._intend("removing", "layer", trees)
            self._intend("removing", "blob", blobs)
            self._db.executemany("DELETE FROM trees WHERE id = ?", [(id,) for id in trees])
            self._db.executemany("DELETE FROM blobs WHERE id = ?", [(id,) for id in blobs])
            self._db.executemany("DELETE FROM actions WHERE key = ?", [(key,) for key in actions])
        self._rows("PRAGMA wal_checkpoint(TRUNCATE)")

    # Actions

    def record(self, action: Action) -> None:
        """Enter an action, in the place of one with the same key, and how long it took."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO actions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (action.key, action.kind, action.name, _dump(action.parts), _dump(action.outputs),
                 action.seconds, action.log, action.created, _dump(action.data)),
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
        return _first(map(self._action, self._rows("SELECT * FROM actions WHERE key = ?", key)))

    def last_action(self, kind: str, name: str) -> Action | None:
        """The newest action of this kind and name, whatever its key."""
        rows = self._rows(
            "SELECT * FROM actions WHERE kind = ? AND name = ?"
            " ORDER BY created DESC, rowid DESC LIMIT 1",
            kind, name,
        )  # fmt: skip
        return _first(map(self._action, rows))

    def actions_of(self, kind: str, name: str) -> list[Action]:
        """Every action of this kind and name, the oldest first."""
        rows = self._rows(
            "SELECT * FROM actions WHERE kind = ? AND name = ? ORDER BY created, rowid", kind, name
        )
        return [self._action(row) for row in rows]

    def action_names(self, kind: str) -> list[str]:
        """The names of the actions of this kind, each once, in order."""
        rows = self._rows("SELECT DISTINCT name FROM actions WHERE kind = ? ORDER BY name", kind)
        return [row["name"] for row in rows]

    def actions(self) -> list[Action]:
        """All actions, the oldest first."""
        return list(map(self._action, self._rows("SELECT * FROM actions ORDER BY created, rowid")))

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
        return [self._pin(row) for row in rows]

    def _pin(self, row: sqlite3.Row) -> Pin:
        where = f"pin {row['name']}"
        return Pin(
            name=row["name"],
            trees=tuple(self._load(row["trees"], list, where)),
            blobs=tuple(self._load(row["blobs"], list, where)),
            data=self._load(row["data"], dict, where),
            created=row["created"],
        )

    def _action(self, row: sqlite3.Row) -> Action:
        where = f"action {row['key']}"
        values = {**dict(row)}
        values["parts"] = self._load(row["parts"], dict, where)
        values["outputs"] = self._load(row["outputs"], dict, where)
        values["data"] = self._load(row["data"], dict, where)
        return Action(**values)

    def _load(self, text: Any, kind: type[list[Any] | dict[str, Any]], where: str) -> Any:
        try:
            value: Any = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise DamagedIndexError(self._path, f"{where}: {error}") from error
        whole = isinstance(value, kind) and (kind is dict or all(isinstance(i, str) for i in value))
        if not whole:
            raise DamagedIndexError(self._path, f"{where}: not what cloche writes there")
        return value


def _refuse_fork(path: Path) -> None:
    """Refuse an index that was open when this process was forked.

    SQLite notes the locks of a process in its memory. A fork has the notes and not the locks
    (fcntl(2)), so it waits for ever, or loses what it writes. Raises `StoreError`.
    """
    inherited = [other._path for other in list(_open) if other._pid != os.getpid()]
    for other in filter(Path.exists, inherited):
        if path.exists() and other.samefile(path):
            raise StoreError(
                "a process that was forked from one with this store open cannot open it",
                where=path.parent,
                todo='start processes by "spawn" or "forkserver" (multiprocessing)',
                status=Exit.HOST,
            )


def _tree_row(tree: Tree) -> tuple[object, ...]:
    return (tree.id, tree.kind, tree.label, tree.exact, tree.files, tree.size, tree.created)


def _blob_row(blob: Blob) -> tuple[object, ...]:
    return (blob.id, blob.label, blob.size, blob.created)


def _dump(data: Any) -> str:
    return json.dumps(dict(data), sort_keys=True)


def _first(actions: Iterable[Action]) -> Action | None:
    return next(iter(actions), None)
