"""Puts what was built into the pool and into the database, one package at a time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from cloche.fetching.signing import Signer
from cloche.service import pool
from cloche.service.database import Database
from cloche.service.values import Build, Outcome, Package
from cloche.targets.description import Description
from cloche.targets.results import MadePackage


class Publisher:
    """Publishes packages. For the event loop's thread."""

    def __init__(self, database: Database, place: Path, signer: Signer | None) -> None:
        self._database, self._place, self._signer = database, place, signer
        self._lock = asyncio.Lock()

    async def publish(self, build: Build, description: Description, made: MadePackage) -> None:
        """Put a package into the pool, unless it is there, with the environment it was made in."""
        database = self._database
        async with self._lock:
            known = database.package(made.gpkg)
            if known is None:
                number = database.next_number(made.cpv)
                published = await asyncio.to_thread(
                    pool.publish,
                    made.file,
                    self._place,
                    made.cpv,
                    number,
                    made.entry,
                    self._signer,
                )
                now = time.time()
                known = Package(
                    id=0,
                    gpkg=made.gpkg,
                    cpv=made.cpv,
                    repository=made.repository,
                    use=made.use,
                    path=published.path,
                    number=number,
                    size=published.size,
                    entry=published.entry,
                    arch=description.arch,
                    chost=description.chost,
                    build=build.id,
                    made=now,
                    used=now,
                )
            with database.transaction():
                id = known.id or database.add_package(known)
                environment = msgspec.json.encode(made.environment, order="deterministic")
                digest, level = build.work.digest, build.work.level
                database.add_environment(id, environment, made.symbols, level, digest)
                outcome = Outcome(made.cpv, "made", "", id, made.built, made.seconds)
                database.add_outcome(build.id, outcome)
