"""Which packages and builds are removed: what nobody needs any more, by age and room.

What is offered to an enrolled target stays, whatever its age, and what may be: until it is proven
what a target takes now, all packages for its CPU stay.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from cloche.service.database import Database
from cloche.service.settings import Retention, State
from cloche.service.values import ENDED, Build, Package

_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Outdated:
    """What can be removed."""

    packages: tuple[Package, ...] = ()
    builds: tuple[Build, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of the packages."""
        return sum(package.size for package in self.packages)


def outdated(
    packages: Iterable[Package],
    needed: Collection[int],
    builds: Iterable[Build],
    retention: Retention,
    now: float,
) -> Outdated:
    """What can be removed at a time; ``needed`` packages cannot. A pure function.

    Packages go if they were not used for the days of the retention, and then, those that were not
    used for longest first, while all together need more room than it allows.
    """
    every = sorted(packages, key=lambda package: package.used)
    least = now - retention.days * _DAY
    gone = []
    room = sum(package.size for package in every)
    for package in every:
        too_much = retention.room is not None and room > retention.room
        if package.id not in needed and (package.used < least or too_much):
            gone.append(package)
            room -= package.size
    old = [b for b in builds if b.state in ENDED and b.ended is not None and b.ended < least]
    return Outdated(tuple(gone), tuple(old))


def find(database: Database, retention: Retention) -> Outdated:
    """What can be removed now."""
    return outdated(
        database.packages(),
        database.needed_packages(),
        database.builds(states=ENDED),
        retention,
        time.time(),
    )


def remove(database: Database, state: State, found: Outdated) -> None:
    """Remove it. After a kill, files without a row are removed at the next start."""
    for package in found.packages:
        if package.id not in database.needed_packages():  # it may be offered by now
            database.remove_package(package.id)
            (state.pool / package.path).unlink(missing_ok=True)
    for build in found.builds:
        database.remove_build(build.id)
        shutil.rmtree(state.build(build.id), ignore_errors=True)
    database.forget_offers()
