"""The queries of the service: plain SQL, one writer. Nothing else keeps state.

Each method is one transaction: after a kill at any moment it has happened as a whole or not at all.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import msgspec

from cloche.service.registry import Registry
from cloche.service.sqlite import data_of, read, row_of
from cloche.service.values import (
    Build,
    BuildState,
    Candidate,
    Judged,
    Outcome,
    Package,
    Payer,
    Target,
    Work,
)
from cloche.targets.levels import Level

_BUILD = (
    "SELECT b.*, (SELECT json_group_array(target) FROM askers WHERE build = b.id) AS targets"
    " FROM builds b"
)
_INDEXED = (
    "offers o JOIN environments e ON e.id = o.candidate JOIN packages p ON p.id = e.package"
    " WHERE o.digest = ? AND o.accepted AND (o.level = ? OR EXISTS ("
    "  SELECT 1 FROM outcomes u JOIN builds b ON b.id = u.build JOIN askers a ON a.build = b.id"
    "  WHERE u.package = p.id AND b.level = o.level AND a.target = ?))"
)
_WORK = ("digest", "level", "options", "inject")


class Database(Registry):
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
        """Note that a target asked for a build; return whether it had not before."""
        done = self._do("INSERT OR IGNORE INTO askers VALUES (?, ?, ?)", build, target, token)
        return done.rowcount == 1

    def payers(self, build: str) -> list[Payer]:
        """Whose quota a build uses: of each token with which it was asked for."""
        query = (
            "SELECT DISTINCT coalesce(t.account, a.token), t.quota FROM askers a"
            " LEFT JOIN tokens t ON t.id = a.token WHERE a.build = ?"
        )
        return [Payer(*row) for row in self._all(query, build)]

    def pay(self, build: str, token: str) -> None:
        """Let a token pay for a build, in the place of those that asked for it."""
        self._do("UPDATE askers SET token = ? WHERE build = ?", token, build)

    def is_wanted(self, build: str) -> bool:
        """Whether one of the tokens with which a build was asked for is still valid."""
        query = (
            "SELECT 1 FROM askers a LEFT JOIN tokens t ON t.id = a.token"
            " WHERE a.build = ? AND t.revoked IS NULL"
        )
        return self._one(query, build) is not None

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
        before: int | None = None,
    ) -> list[Build]:  # fmt: skip
        """Builds, the newest first: those of a target, in some states, before a number."""
        where, values = ["1"], list[Any]()
        if target is not None:
            where.append("b.id IN (SELECT build FROM askers WHERE target = ?)")
            values.append(target)
        if states:
            where.append(f"b.state IN ({', '.join('?' for _ in states)})")
            values.extend(states)
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
            self._do("DELETE FROM outcomes WHERE build = ?", id)
            self._do(
                "UPDATE builds SET state = 'running', attempts = attempts + 1, started = ?,"
                " repositories = ?, ended = NULL, error = NULL WHERE id = ?",
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
        attempts = "attempts" if again else "0"
        self._do(f"UPDATE builds SET state = 'queued', attempts = {attempts} WHERE id = ?", id)  # noqa: S608

    def try_again(self, id: str) -> None:
        """Put a build into the queue that is to try again what failed before."""
        self._do("UPDATE builds SET state = 'queued', attempts = 0, again = 1 WHERE id = ?", id)

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
            self._do(f"UPDATE builds SET state = 'queued' WHERE {which}", id)  # noqa: S608

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

    # Packages

    def next_number(self, cpv: str) -> int:
        """A number for a new package of a CPV, which no other one ever had."""
        row = self._one(
            "INSERT INTO numbers VALUES (?, 1) ON CONFLICT (cpv) DO UPDATE SET last = last + 1"
            " RETURNING last",
            cpv,
        )
        assert row is not None  # noqa: S101
        return int(row[0])

    def add_package(self, package: Package) -> int:
        """Add a package, whose id is ignored; return its id."""
        row = row_of(package)
        del row["id"]
        return self._insert("packages", row)

    def add_environment(
        self, package: int, environment: bytes, symbols: object, level: Level, digest: str
    ) -> None:
        """Add an environment of a package, unless it is there."""
        self._do(
            "INSERT OR IGNORE INTO environments (package, environment, symbols, level, digest)"
            " VALUES (?, ?, ?, ?, ?)",
            package, environment, json.dumps(symbols), str(level), digest,
        )  # fmt: skip

    def package(self, gpkg: str) -> Package | None:
        """A package by the digest of its file."""
        row = self._one("SELECT * FROM packages WHERE gpkg = ?", gpkg)
        return None if row is None else read(row, Package)

    def package_at(self, path: str) -> Package | None:
        """A package by its path in the pool."""
        row = self._one("SELECT * FROM packages WHERE path = ?", path)
        return None if row is None else read(row, Package)

    def packages(self) -> list[Package]:
        """All packages, without their entries: these are most of what there is to read."""
        names = ", ".join(
            "'' AS entry" if each.name == "entry" else each.name for each in fields(Package)
        )
        query = f"SELECT {names} FROM packages ORDER BY cpv, number DESC"  # noqa: S608
        return [read(row, Package) for row in self._all(query)]

    def pool(self, ids: Collection[int] | None = None) -> tuple[int, int]:
        """How many packages there are, perhaps only of some, and their bytes."""
        query = (
            "SELECT count(*), coalesce(sum(size), 0) FROM packages"
            " WHERE ?1 IS NULL OR id IN (SELECT value FROM json_each(?1))"
        )
        count, size = self._one(query, None if ids is None else json.dumps(sorted(ids)))
        return int(count), int(size)

    def touch_package(self, id: int, now: float) -> None:
        """Note that a package is used."""
        self._do("UPDATE packages SET used = ? WHERE id = ?", now, id)

    def remove_package(self, id: int) -> None:
        """Remove a package; no index has it from now on."""
        with self.transaction():
            query = (
                "SELECT DISTINCT o.digest, o.level FROM offers o JOIN environments e"
                " ON e.id = o.candidate WHERE e.package = ? AND o.accepted"
            )
            for digest, level in self._all(query, id):
                self.raise_index(digest, Level(level), time.time())
            self._do("DELETE FROM packages WHERE id = ?", id)

    # Offers

    def candidates(self, arch: str | None = None, chost: str | None = None) -> list[Candidate]:
        """The packages, perhaps for a CPU, in each of their environments, the newest first."""
        query = (
            "SELECT e.*, p.cpv, p.entry FROM environments e JOIN packages p ON p.id = e.package"
            " WHERE p.arch = coalesce(?, p.arch) AND p.chost = coalesce(?, p.chost)"
            " ORDER BY e.id DESC"
        )
        return [read(row, Candidate) for row in self._all(query, arch, chost)]

    def known_candidates(self, digest: str) -> list[Candidate]:
        """Those that were made for a description, or are offered for it at any level.

        What others have besides must not be learned by those that have this description.
        """
        query = (
            "SELECT e.*, p.cpv, p.entry FROM environments e JOIN packages p ON p.id = e.package"
            " WHERE e.digest = ?1 OR e.id IN"
            " (SELECT candidate FROM offers WHERE digest = ?1 AND accepted) ORDER BY e.id DESC"
        )
        return [read(row, Candidate) for row in self._all(query, digest)]

    def judged(self, digest: str, level: Level) -> list[Judged]:
        """The verdicts for a description at a level."""
        query = "SELECT * FROM offers WHERE digest = ? AND level = ?"
        return [read(row, Judged) for row in self._all(query, digest, str(level))]

    def judge(self, digest: str, level: Level, found: Iterable[Judged], seen: str) -> bool:
        """Replace the verdicts for a description at a level; return whether its index changed.

        ``seen`` stands for the candidates that were judged.
        """
        with self.transaction():
            before = self.offered(digest, level)
            self._do("DELETE FROM offers WHERE digest = ? AND level = ?", digest, str(level))
            for each in found:
                self._do(
                    "INSERT INTO offers SELECT ?, ?, id, ?, ? FROM environments WHERE id = ?",
                    digest, str(level), each.accepted, each.words, each.candidate,
                )  # fmt: skip
            changed = self.offered(digest, level) != before
            self.raise_index(digest, level, time.time() if changed else 0)
            query = "UPDATE indexes SET seen = ? WHERE digest = ? AND level = ?"
            self._do(query, seen, digest, str(level))
        return changed

    def offered(self, digest: str, level: Level) -> list[tuple[int, str, str, str]]:
        """What is offered for a description at a level: id, CPV, entry, level of each package."""
        query = (
            "SELECT p.id, p.cpv, p.entry, e.level FROM offers o"
            " JOIN environments e ON e.id = o.candidate JOIN packages p ON p.id = e.package"
            " WHERE o.digest = ? AND o.level = ? AND o.accepted GROUP BY p.id ORDER BY p.cpv, p.id"
        )
        return [tuple(row) for row in self._all(query, digest, str(level))]

    def offered_ids(self, digest: str, level: Level) -> set[int]:
        """The ids of the packages that are offered for a description at a level."""
        query = (
            "SELECT e.package FROM offers o JOIN environments e ON e.id = o.candidate"
            " WHERE o.digest = ? AND o.level = ? AND o.accepted"
        )
        return {row[0] for row in self._all(query, digest, str(level))}

    def verdicts(self, build: Build) -> dict[int, str | None]:
        """What of the packages that a build made is offered (None), or why not."""
        query = (
            "SELECT e.package, o.accepted, o.words FROM outcomes u"
            " JOIN environments e ON e.package = u.package"
            " JOIN offers o ON o.candidate = e.id AND o.digest = ? AND o.level = ?"
            " WHERE u.build = ? ORDER BY o.accepted, e.id"
        )
        rows = self._all(query, build.work.digest, str(build.work.level), build.id)
        return {package: None if accepted else words for package, accepted, words in rows}

    def is_offered(self, digest: str, package: int) -> bool:
        """Whether a package is offered for a description at any level."""
        query = (
            "SELECT 1 FROM offers o JOIN environments e ON e.id = o.candidate"
            " WHERE o.digest = ? AND e.package = ? AND o.accepted LIMIT 1"
        )
        return self._one(query, digest, package) is not None

    def index_of(self, target: Target) -> list[tuple[str, str]]:
        """The index of a target: the entry of each package, and the level at which it was made.

        It has what the target's level offers, and what was made for the target at the level that
        it asked for, as far as that level offers it.
        """
        query = f"SELECT p.entry, e.level FROM {_INDEXED} GROUP BY p.id ORDER BY p.cpv, p.id"  # noqa: S608
        rows = self._all(query, target.digest, str(target.level), target.id)
        return [tuple(row) for row in rows]

    def indexed(self, target: Target) -> dict[int, str]:
        """The packages that the index of a target has: their CPVs by their ids."""
        query = f"SELECT p.id, p.cpv FROM {_INDEXED} GROUP BY p.id"  # noqa: S608
        return dict(self._all(query, target.digest, str(target.level), target.id))

    def levels_of_packages(self, digests: Collection[str] | None = None) -> dict[int, set[Level]]:
        """The levels at which each package was made; only as it is known for some descriptions."""
        rows = self._all("SELECT package, level FROM environments") if digests is None else (
            (each.package, each.level) for d in digests for each in self.known_candidates(d)
        )  # fmt: skip
        found: dict[int, set[Level]] = {}
        for id, level in rows:
            found.setdefault(id, set()).add(Level(level))
        return found

    def seen(self, digest: str, level: Level) -> str | None:
        """What stands for the candidates that were judged last; empty: none yet, None: no index."""
        query = "SELECT seen FROM indexes WHERE digest = ? AND level = ?"
        row = self._one(query, digest, str(level))
        return str(row[0]) if row else None

    def needed_packages(self) -> set[int]:
        """The packages that are offered to targets as they are now, or may be when it is proven.

        `seen` begins with the newest candidate that was judged (`cloche.service.offers`).
        """
        query = (
            "SELECT DISTINCT e.package FROM offers o JOIN environments e ON e.id = o.candidate"
            " WHERE o.accepted AND o.digest IN (SELECT digest FROM targets)"
            " UNION SELECT e.package FROM environments e JOIN packages p ON p.id = e.package"
            " JOIN (SELECT t.arch, t.chost, min(CAST(i.seen AS INTEGER)) AS newest"
            "  FROM targets t JOIN indexes i ON i.digest = t.digest WHERE i.level = t.level"
            "   OR i.level IN (SELECT b.level FROM builds b JOIN askers a ON a.build = b.id"
            "    WHERE a.target = t.id) GROUP BY t.arch, t.chost) u"
            " ON u.arch = p.arch AND u.chost = p.chost WHERE e.id > u.newest"
        )
        return {row[0] for row in self._all(query)}

    def forget_offers(self) -> None:
        """Forget the verdicts for descriptions that no target and no build has."""
        known = "SELECT digest FROM targets UNION SELECT digest FROM builds"
        with self.transaction():
            for table in ("offers", "indexes"):
                self._do(f"DELETE FROM {table} WHERE digest NOT IN ({known})")  # noqa: S608

    def count(self, table: str, column: str) -> dict[str, int]:
        """How many rows a table has for each value of a column; both are this module's names."""
        rows = self._all(f"SELECT {column}, count(*) FROM {table} GROUP BY 1")  # noqa: S608
        return {str(row[0]): row[1] for row in rows}


def _read_build(row: sqlite3.Row) -> Build:
    data = data_of(row)
    data["work"] = {name: data[name] for name in _WORK}
    return msgspec.convert(data, Build, strict=False)
