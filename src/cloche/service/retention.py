"""Which packages and builds are removed: what nobody needs any more, by age and room.

What is offered to an enrolled target stays, whatever its age, and what may be: until it is proven
what a target takes now, all packages for its CPU stay.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cloche.service.database import Database
from cloche.service.settings import Retention, State
from cloche.service.values import ENDED, Build, Package

_DAY = 86400.0
_PART = 100  # packages that are removed at once


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
    for remove_files in removing(database, state, found):
        remove_files()


def removing(database: Database, state: State, found: Outdated) -> Iterator[Callable[[], None]]:
    """Remove it in parts: rows when asked for the next one, files by what is returned.

    That may be called in another thread: no path is ever used again.
    """
    for first in range(0, len(found.packages), _PART):
        part = found.packages[first : first + _PART]
        with database.transaction():
            needed = database.needed_packages()  # some may be offered by now
            gone = [package for package in part if package.id not in needed]
            for package in gone:
                database.remove_package(package.id)
        yield partial(_unlink, [state.pool / package.path for package in gone])
    for build in found.builds:
        if not _has_ended_as(database, build):
            continue
        database.remove_build(build.id)
        yield partial(shutil.rmtree, state.build(build.id), ignore_errors=True)
    database.forget_offers()


def _has_ended_as(database: Database, build: Build) -> bool:
    """Whether a build is as it was, and not repeated by now."""
    try:
        now = database.build(build.id)
    except KeyError:
        return False
    return now.state in ENDED and now.ended == build.ended


def _unlink(paths: Iterable[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
