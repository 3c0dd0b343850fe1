"""The queries about tokens and targets, and the time stamps of targets' indexes."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cloche.service.sqlite import Connection, read, row_of
from cloche.service.values import Target, Token, checked_name
from cloche.targets.levels import Level

_APART = 6  # seconds; Portage takes an index that is up to 5 s newer than its own for unmodified
_DESCRIBED = ("digest", "arch", "chost", "profile", "notes", "changed")


class Registry(Connection):
    """The part of the database that says who may use the service, and for which machines."""

    # Tokens

    def add_token(self, token: Token, hashed: bytes) -> None:
        """Add a token."""
        self._insert("tokens", {
            "id": token.id, "hash": hashed, "name": token.name, "role": str(token.role),
            "target": token.target, "inject": token.inject, "quota": token.quota,
            "made": token.made, "account": token.account,
        })  # fmt: skip

    def token(self, hashed: bytes) -> Token | None:
        """The token with a digest; None also for one that is revoked."""
        row = self._one("SELECT * FROM tokens WHERE hash = ? AND revoked IS NULL", hashed)
        return None if row is None else read(row, Token)

    def tokens(self) -> list[Token]:
        """All tokens, those that are revoked, too."""
        return [read(row, Token) for row in self._all("SELECT * FROM tokens ORDER BY made, id")]

    def use_token(self, id: str, now: float) -> None:
        """Note that a token is used."""
        self._do("UPDATE tokens SET used = ? WHERE id = ?", now, id)

    def revoke(self, id: str, now: float) -> bool:
        """Revoke a token; False where there is none that is valid."""
        statement = "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL"
        return self._do(statement, now, id).rowcount == 1

    def set_quota(self, account: str, quota: int | None) -> None:
        """Give all tokens of an account another quota; None: no limit."""
        self._do("UPDATE tokens SET quota = ? WHERE coalesce(account, id) = ?", quota, account)

    def is_valid(self, id: str) -> bool:
        """Whether a token is not revoked."""
        return self._one("SELECT 1 FROM tokens WHERE id = ? AND revoked IS NULL", id) is not None

    def enrolled(self, account: str) -> int:
        """How many targets an account has enrolled."""
        query = "SELECT count(DISTINCT target) FROM tokens WHERE account = ?"
        return int(self._one(query, account)[0])

    def charge(self, accounts: Sequence[str], seconds: float, now: float) -> None:
        """Count seconds of building, in equal shares."""
        with self.transaction():
            for account in accounts:
                share = seconds / len(accounts)
                self._insert("charges", {"token": account, "at": now, "seconds": share})
            self._do("DELETE FROM charges WHERE at < ?", now - 7 * 86400)

    def charged(self, since: float) -> dict[str, float]:
        """Seconds of building since a time, of each account that has any."""
        query = "SELECT token, total(seconds) FROM charges WHERE at >= ? GROUP BY token"
        return dict(self._all(query, since))

    # Targets

    def add_target(self, target: Target) -> None:
        """Add a target, with an empty index."""
        with self.transaction():
            self._insert("targets", row_of(target))
            self.raise_index(target.digest, target.level, target.made)

    def target(self, id: str) -> Target | None:
        """A target by its id."""
        row = self._one("SELECT * FROM targets WHERE id = ?", id)
        return None if row is None else read(row, Target)

    def targets(self) -> list[Target]:
        """All targets, by their names."""
        return [read(row, Target) for row in self._all("SELECT * FROM targets ORDER BY name, id")]

    def change_target(
        self, id: str, now: float, *, name: str | None = None, level: Level | None = None
    ) -> Target | None:
        """Give a target another name or level; return it as it is now, None if it was removed.

        Raises ServiceError if the name is not one.
        """
        name = None if name is None else checked_name(name)
        statement = (
            "UPDATE targets SET name = coalesce(?, name), level = coalesce(?, level), changed = ?"
            " WHERE id = ?"
        )
        with self.transaction():
            old = self.target(id)
            self._do(statement, name, level and str(level), now, id)
            return self._changed(old)

    def describe_target(self, target: Target, before: str) -> Target | None:
        """Note the new description of a target, whose name and level stay; return it as it is now.

        None: it was removed, or has no longer the description ``before``.
        """
        values = {**row_of(target), "before": before}
        names = ", ".join(f"{name} = :{name}" for name in _DESCRIBED)
        statement = f"UPDATE targets SET {names} WHERE id = :id AND digest = :before"  # noqa: S608
        with self.transaction():
            old = self.target(target.id)
            return self._changed(old) if self._do(statement, values).rowcount else None

    def _changed(self, old: Target | None) -> Target | None:
        """A target that changed, as it is now; its new index rises above the one that it had."""
        new = None if old is None else self.target(old.id)
        if old is None or new is None:
            return None
        if (old.digest, old.level) != (new.digest, new.level):
            before = self.stamp(old.digest)
            self.raise_index(new.digest, new.level, max(new.changed, before + _APART))
        return new

    def remove_target(self, id: str) -> None:
        """Remove a target, and its tokens."""
        self._do("DELETE FROM targets WHERE id = ?", id)

    def digests(self) -> set[str]:
        """The digests of all descriptions that are needed."""
        rows = self._all(
            "SELECT digest FROM targets UNION SELECT digest FROM builds"
            " WHERE state IN ('queued', 'running')"
        )
        return {row[0] for row in rows}

    # Indexes

    def raise_index(self, digest: str, level: Level, least: float) -> None:
        """Let the stamp of an index rise, at least to a time; 0: only see that there is one.

        It rises above those of all levels of the description: a target's index has several. It may
        be ahead of the clock.
        """
        query = "SELECT coalesce(max(stamp), 0) FROM indexes WHERE digest = ?"
        (highest,) = self._one(query, digest)
        stamp = max(highest + _APART, int(least)) if least else int(time.time())
        update = "stamp = excluded.stamp" if least else "stamp = stamp"
        self._do(
            "INSERT INTO indexes (digest, level, stamp, seen) VALUES (?, ?, ?, '')"  # noqa: S608
            f" ON CONFLICT (digest, level) DO UPDATE SET {update}",
            digest, str(level), stamp,
        )  # fmt: skip

    def stamp(self, digest: str) -> int:
        """When an index of a description changed last; 0: there is none."""
        query = "SELECT coalesce(max(stamp), 0) FROM indexes WHERE digest = ?"
        return int(self._one(query, digest)[0])

    def levels(self, target: Target) -> list[Level]:
        """The level of a target, and others at which it asked for packages."""
        query = (
            "SELECT DISTINCT b.level FROM builds b JOIN askers a ON a.build = b.id"
            " WHERE a.target = ?"
        )
        asked = {Level(row[0]) for row in self._all(query, target.id)}
        return sorted({target.level, *asked}, key=lambda level: level.rank)
