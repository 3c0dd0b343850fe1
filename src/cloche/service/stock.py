"""The queries about packages: which there are, and which are offered to whom."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable
from dataclasses import fields

from cloche.service.registry import Registry
from cloche.service.sqlite import read, row_of
from cloche.service.values import GIVEN_UP, Build, Candidate, Fault, Judged, Package, Target
from cloche.targets.levels import Level

_INDEXED = (
    "offers o JOIN environments e ON e.id = o.candidate JOIN packages p ON p.id = e.package"
    " WHERE o.digest = ? AND o.accepted AND (o.level = ? OR EXISTS ("
    "  SELECT 1 FROM outcomes u JOIN builds b ON b.id = u.build JOIN askers a ON a.build = b.id"
    "  WHERE u.package = p.id AND b.level = o.level AND a.target = ?))"
)
_LEVELS = (  # of a target: its own, and those that it asked for
    "i.digest = t.digest AND (i.level = t.level OR i.level IN"
    " (SELECT b.level FROM builds b JOIN askers a ON a.build = b.id WHERE a.target = t.id))"
)


class Stock(Registry):
    """The part of the database that says what is in the pool, and what targets take of it."""

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

    def note_fault(self, digest: str, level: Level, what: str) -> None:
        """Note that it could not be proven what a description accepts at a level."""
        with self.transaction():
            self.raise_index(digest, level, 0)
            self._do(
                "UPDATE indexes SET failures = failures + 1, fault = ?"
                " WHERE digest = ? AND level = ?",
                what, digest, str(level),
            )  # fmt: skip

    def forget_fault(self, digest: str, level: Level) -> None:
        """Note that it is proven what a description accepts at a level."""
        self._do(
            "UPDATE indexes SET failures = 0, fault = ''"
            " WHERE digest = ? AND level = ? AND failures > 0",
            digest, str(level),
        )  # fmt: skip

    def faults(self, target: str | None = None) -> list[Fault]:
        """What cannot be proven now, perhaps only of a target."""
        if self._one("SELECT 1 FROM indexes WHERE failures > 0 LIMIT 1") is None:
            return []  # as most of the times that it is asked
        query = (
            "SELECT t.id AS target, i.level, i.failures, i.fault AS what FROM targets t"  # noqa: S608
            f" JOIN indexes i ON {_LEVELS} WHERE i.failures > 0 AND t.id = coalesce(?, t.id)"
            " ORDER BY t.name, t.id, i.level"
        )
        return [read(row, Fault) for row in self._all(query, target)]

    def needed_packages(self) -> set[int]:
        """The packages that are offered to targets as they are now, or may be when it is proven.

        Where a proof failed `GIVEN_UP` times, it is not waited for any more. `seen` begins with the
        newest candidate that was judged (`cloche.service.offers`).
        """
        query = (
            "SELECT DISTINCT e.package FROM offers o"  # noqa: S608
            " JOIN environments e ON e.id = o.candidate"
            " WHERE o.accepted AND o.digest IN (SELECT digest FROM targets)"
            " UNION SELECT e.package FROM environments e JOIN packages p ON p.id = e.package"
            " JOIN (SELECT t.arch, t.chost, min(CAST(i.seen AS INTEGER)) AS newest"
            f"  FROM targets t JOIN indexes i ON {_LEVELS} WHERE i.failures < {GIVEN_UP}"
            "  GROUP BY t.arch, t.chost) u"
            " ON u.arch = p.arch AND u.chost = p.chost WHERE e.id > u.newest"
        )
        return {row[0] for row in self._all(query)}

    def forget_offers(self) -> None:
        """Forget the verdicts for descriptions that no target and no build has."""
        known = "SELECT digest FROM targets UNION SELECT digest FROM builds"
        with self.transaction():
            for table in ("offers", "indexes"):
                self._do(f"DELETE FROM {table} WHERE digest NOT IN ({known})")  # noqa: S608
