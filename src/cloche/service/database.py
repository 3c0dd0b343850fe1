"""The queries of the service: plain SQL, one writer. Nothing else keeps state.

Each method is one transaction: after a kill at any moment it has happened as a whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from cloche.service.sqlite import data_of, read
from cloche.service.stock import Stock
from cloche.service.values import (
    Build,
    BuildState,
    Outcome,
    Payer,
    Work,
)
from cloche.targets.levels import Level

_BUILD = (
    "SELECT b.*, (SELECT json_group_array(target) FROM askers WHERE build = b.id) AS targets"
    " FROM builds b"
)
_WAITS = "state = 'queued', started = NULL, ended = NULL, seconds = 0, error = NULL, notes = '[]'"
_WORK = ("digest", "level", "options", "inject")


class Database(Stock):
    """All that the service remembers."""

    # Builds

    def add_build(self, id: str, work: Work, part: Sequence[str], now: float, state: str) -> Build:
        """Put a build into the queue; ``state`` is that of the repositories."""
        row = {
            "id": id, "digest": work.digest, "level": str(work.level), "inject": work.inject,
            "options": json.dumps(work.options), "parts": json.dumps([part]), "state": "queued",
            "repositories": state, "attempts": 0, "asked": now, "seconds": 0.0, "notes": "[]",
        }  # fmt: skip
        self._insert("builds", row)
        return self.build(id)

    def ask(self, build: str, target: str, token: str) -> bool:
        """Note that a target asked for a build; return whether it had not before.

        The token that it first asked with counts, until that is revoked.
        """
        with self.transaction():
            query = "SELECT 1 FROM askers WHERE build = ? AND target = ?"
            known = self._one(query, build, target) is not None
            self._do(
                "INSERT INTO askers VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
                " SET token = excluded.token WHERE EXISTS"
                " (SELECT 1 FROM tokens WHERE id = askers.token AND revoked IS NOT NULL)",
                build, target, token,
            )  # fmt: skip
        return not known

    def payers(self, builds: Collection[str]) -> dict[str, list[Payer]]:
        """Whose quotas builds use: of each token with which one was asked for."""
        query = (
            "SELECT DISTINCT a.build, coalesce(t.account, a.token), t.quota FROM askers a"
            " LEFT JOIN tokens t ON t.id = a.token"
            " WHERE a.build IN (SELECT value FROM json_each(?))"
        )
        found: dict[str, list[Payer]] = {build: [] for build in builds}
        for build, account, quota in self._all(query, json.dumps(list(builds))):
            found[build].append(Payer(account, quota))
        return found

    def pay(self, build: str, token: str) -> None:
        """Let a token pay for a build, in the place of those that asked for it."""
        self._do("UPDATE askers SET token = ? WHERE build = ?", token, build)

    def unwanted(self) -> set[str]:
        """The builds in the queue, or running, of which no token is valid that asked for them."""
        query = (
            "SELECT b.id FROM builds b WHERE b.state IN ('queued', 'running') AND NOT EXISTS"
            " (SELECT 1 FROM askers a LEFT JOIN tokens t ON t.id = a.token"
            " WHERE a.build = b.id AND t.revoked IS NULL)"
        )
        return {row[0] for row in self._all(query)}

    def queued(self, account: str | None = None) -> int:
        """How many builds are in the queue, perhaps only those of an account."""
        query = "SELECT count(*) FROM builds WHERE state = 'queued'"
        if account is not None:
            query += (
                " AND id IN (SELECT a.build FROM askers a LEFT JOIN tokens t ON t.id = a.token"
                " WHERE coalesce(t.account, a.token) = ?)"
            )
        return int(self._one(query, *(() if account is None else (account,)))[0])

    def build(self, id: str) -> Build:
        """A build by its id. Raises KeyError."""
        row = self._one(f"{_BUILD} WHERE b.id = ?", id)
        if row is None:
            raise KeyError(id)
        return _read_build(row)

    def has_build(self, id: str) -> bool:
        """Whether there is a build."""
        return self._one("SELECT 1 FROM builds WHERE id = ?", id) is not None

    def builds(
        self, *, target: str | None = None, states: Sequence[BuildState] = (), most: int = -1,
        before: int | None = None, ids: Collection[str] | None = None,
    ) -> list[Build]:  # fmt: skip
        """Builds, the newest first: those of a target, in some states, before a number, by ids."""
        where, values = ["1"], list[Any]()
        if target is not None:
            where.append("b.id IN (SELECT build FROM askers WHERE target = ?)")
            values.append(target)
        if states:
            where.append(f"b.state IN ({', '.join('?' for _ in states)})")
            values.extend(states)
        if ids is not None:
            where.append("b.id IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(list(ids)))
        if before is not None:
            where.append("b.number < ?")
            values.append(before)
        query = f"{_BUILD} WHERE {' AND '.join(where)} ORDER BY b.number DESC LIMIT ?"
        return [_read_build(row) for row in self._all(query, *values, most)]

    def build_ids(self, targets: Collection[str]) -> set[str]:
        """The ids of all builds that some targets asked for."""
        query = "SELECT build FROM askers WHERE target IN (SELECT value FROM json_each(?))"
        return {row[0] for row in self._all(query, json.dumps(sorted(targets)))}

    def position(self, build: Build) -> int:
        """How many builds are before one in the queue."""
        if build.state != "queued":
            return 0
        query = "SELECT count(*) FROM builds WHERE state = 'queued' AND number < ?"
        return int(self._one(query, build.number)[0])

    def builds_of(self, work: Work) -> list[Build]:
        """The builds that do equal work, the newest first."""
        query = (
            f"{_BUILD} WHERE b.digest = ? AND b.level = ? AND b.options = ? AND b.inject = ?"
            " ORDER BY b.number DESC LIMIT 50"
        )
        options = json.dumps(work.options)
        rows = self._all(query, work.digest, str(work.level), options, work.inject)
        return [_read_build(row) for row in rows]

    def add_part(self, build: Build, part: Sequence[str]) -> None:
        """Let a build in the queue answer one request more."""
        parts = json.dumps([*build.parts, part])
        self._do("UPDATE builds SET parts = ? WHERE id = ?", parts, build.id)

    def start(self, id: str, repositories: str, now: float) -> None:
        """A build begins; what an earlier attempt made is not its outcome."""
        with self.transaction():
            made = "SELECT 1 FROM outcomes WHERE build = ? AND package IS NOT NULL"
            if self._one(made, id):
                self._raise_askers(id)
            self._do("DELETE FROM outcomes WHERE build = ?", id)
            self._do(
                "UPDATE builds SET state = 'running', attempts = attempts + 1, started = ?,"
                " repositories = ? WHERE id = ?",
                now, repositories, id,
            )  # fmt: skip

    def end(
        self, id: str, state: BuildState, now: float, error: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """A build ends."""
        self._do(
            "UPDATE builds SET state = ?, ended = ?, seconds = ? - coalesce(started, ?),"
            " error = ?, notes = ? WHERE id = ?",
            state, now, now, now, None if error is None else json.dumps(error),
            json.dumps(list(notes)), id,
        )  # fmt: skip

    def requeue(self, id: str, *, again: bool = False) -> None:
        """Put a build back into the queue; ``again`` counts the attempts that it had."""
        self._queue("attempts = attempts" if again else "attempts = 0", "id = ?", id)

    def try_again(self, id: str) -> None:
        """Put a build into the queue that is to try again what failed before."""
        self._queue("attempts = 0, again = 1", "id = ?", id)

    def _queue(self, change: str, which: str, *values: Any) -> None:
        """Put builds into the queue, with nothing of how they ended before.

        What they made stays in indexes until they start.
        """
        with self.transaction():
            builds = f"SELECT id FROM builds WHERE {which}"  # noqa: S608
            self._do(f"DELETE FROM outcomes WHERE package IS NULL AND build IN ({builds})", *values)  # noqa: S608
            self._do(f"UPDATE builds SET {_WAITS}, {change} WHERE {which}", *values)  # noqa: S608

    def requeue_running(self, attempts: int, id: str | None = None) -> None:
        """Put back what ran when the service was killed; what began ``attempts`` times fails.

        With an ``id`` only that build, which could not be finished.
        """
        which = "state = 'running' AND id = coalesce(?, id)"
        with self.transaction():
            what = {"what": f"the service could not finish it in {attempts} attempts", "status": 1}
            self._do(
                f"UPDATE builds SET state = 'failed', error = ?, ended = ? WHERE {which}"  # noqa: S608
                " AND attempts >= ?",
                json.dumps(what), time.time(), id, attempts,
            )  # fmt: skip
            self._queue("attempts = attempts", which, id)

    def remove_build(self, id: str) -> None:
        """Forget a build."""
        with self.transaction():
            self._raise_askers(id)
            self._do("DELETE FROM builds WHERE id = ?", id)

    def _raise_askers(self, build: str) -> None:
        """Let the indexes rise that have packages because a target asked for a build."""
        query = (
            "SELECT DISTINCT t.digest, b.level FROM builds b JOIN askers a ON a.build = b.id"
            " JOIN targets t ON t.id = a.target WHERE b.id = ? AND b.level != t.level"
        )
        for digest, level in self._all(query, build):
            self.raise_index(digest, Level(level), time.time())

    def add_outcome(self, build: str, outcome: Outcome) -> None:
        """Note what became of a package."""
        with self.transaction():
            self._do(
                "INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?)",
                build, outcome.cpv, outcome.state, outcome.words, outcome.package, outcome.built,
                outcome.seconds,
            )  # fmt: skip
            if outcome.package is not None:
                self._raise_askers(build)

    def outcomes(self, build: str) -> list[Outcome]:
        """What became of the packages of a build."""
        rows = self._all("SELECT * FROM outcomes WHERE build = ? ORDER BY cpv", build)
        return [read(row, Outcome) for row in rows]

    def made_by(self, builds: Collection[str]) -> dict[str, set[int]]:
        """The packages that each of some builds made and that there still are."""
        query = (
            "SELECT build, package FROM outcomes WHERE package IS NOT NULL"
            " AND build IN (SELECT value FROM json_each(?))"
        )
        found: dict[str, set[int]] = {build: set() for build in builds}
        for build, package in self._all(query, json.dumps(list(builds))):
            found[build].add(package)
        return found

    def count(self, table: str, column: str) -> dict[str, int]:
        """How many rows a table has for each value of a column; both are this module's names."""
        rows = self._all(f"SELECT {column}, count(*) FROM {table} GROUP BY 1")  # noqa: S608
        return {str(row[0]): row[1] for row in rows}


def _read_build(row: sqlite3.Row) -> Build:
    data = data_of(row)
    data["work"] = {name: data[name] for name in _WORK}
    return msgspec.convert(data, Build, strict=False)
