"""What tokens may use: seconds of building a day, places in the queue, targets.

Machines that one token enrolled share what that token has: their tokens name it as their account.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from cloche.service.database import Database
from cloche.service.problems import too_many
from cloche.service.settings import Limits
from cloche.service.values import Build, Payer, Token

DAY = 86400.0
_HOUR = 3600.0
_SOON = 30.0


class Quotas:
    """Counts what is used. ``running`` are the builds that run now."""

    def __init__(
        self, database: Database, limits: Limits, running: Callable[[], Sequence[Build]]
    ) -> None:
        self._database, self._limits, self._running = database, limits, running

    def left(self, payer: Payer) -> float | None:
        """Seconds of building that are left today; None: no limit."""
        return None if payer.quota is None else _left(payer, self.used())

    def left_of(self, builds: Sequence[Build]) -> dict[str, float | None]:
        """Seconds until each build, by its id, has to be stopped if it runs now; None: no limit.

        It goes on while one of those who asked for it has some left.
        """
        used, found = self.used(), dict[str, float | None]()
        for build, payers in self._database.payers([each.id for each in builds]).items():
            left = [_left(each, used) for each in payers]
            known = [each for each in left if each is not None]
            unlimited = not left or len(known) < len(left)
            found[build] = None if unlimited else max(known) * len(payers)
        return found

    def used(self) -> dict[str, float]:
        """Seconds of building of each account in the last day, those of what runs, too."""
        now, running = time.time(), self._running()
        used = self._database.charged(now - DAY)
        payers = self._database.payers([each.id for each in running])
        for build in running:
            accounts = {each.account for each in payers[build.id]}
            share = (now - (build.started or now)) / max(1, len(accounts))
            for account in accounts:
                used[account] = used.get(account, 0.0) + share
        return used

    def charge(self, build: Build) -> None:
        """Count the time for which a build has run, however it ended."""
        now = time.time()
        payers = self._database.payers([build.id])[build.id]
        accounts = sorted({each.account for each in payers})
        self._database.charge(accounts, max(0.0, now - (build.started or now)), now)

    def demand_building(self, token: Token) -> None:
        """See that a token may have one build more in the queue. Raises ProblemError."""
        payer, limits = token.payer, self._limits
        if (left := self.left(payer)) is not None and left <= 0:
            raise too_many(used_up(payer), _HOUR)
        for account, most, whose in (
            (None, limits.queue, "in all"),
            (payer.account, limits.queued, "of this token and the targets that it enrolled"),
        ):
            if self._database.queued(account) >= most:
                raise too_many(f"{most} builds {whose} are in the queue", _SOON)

    def demand_target(self, account: str) -> None:
        """See that one target more may be enrolled. Raises ProblemError."""
        if self._database.enrolled(account) >= self._limits.targets:
            what = f"{self._limits.targets} targets are enrolled with this token"
            raise too_many(what, _HOUR)


def _left(payer: Payer, used: Mapping[str, float]) -> float | None:
    return None if payer.quota is None else payer.quota - used.get(payer.account, 0.0)


def used_up(payer: Payer) -> str:
    """Somebody has built for as long as a day's quota allows."""
    return f"the quota of {payer.quota} s of building a day is used up"
