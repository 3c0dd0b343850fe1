"""What `cloche serve` is told, and the layout of its state."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from cloche.service.errors import ServiceError
from cloche.targets.results import Place

DIRECTORY = "service"  # in a project
_NUMBER = re.compile(r"0*[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do. Sizes in bytes, times in seconds.

    ``description`` is the size of a description with what belongs to it, unpacked; ``body`` that of
    any other body; ``upload`` how long a body may take. ``rate`` are requests a second of one
    token, ``burst`` how many more at once. ``guesses`` are wrong tokens of one address in a minute.
    ``connections`` are open at once; ``headers`` is how long those of a request may take.
    ``queue`` builds are in the queue at most, ``queued`` of them of one token and the ``targets``
    that it enrolled.
    """

    description: int = 40 << 20
    body: int = 1 << 20
    atoms: int = 5000
    upload: float = 60.0
    rate: float = 50.0
    burst: int = 500
    guesses: int = 30
    streams: int = 256  # of events, of a token and the targets that it enrolled
    queue: int = 1000
    queued: int = 100
    targets: int = 1000
    connections: int = 1000
    headers: float = 20.0


def limits_of(words: Iterable[str]) -> Limits:
    """The limits with some of them set: NAME=NUMBER, at least 1. Raises ServiceError."""
    known = {each.name: getattr(Limits(), each.name) for each in fields(Limits)}
    given = dict[str, float]()
    for word in words:
        name, _, text = word.partition("=")
        if name not in known or not _NUMBER.fullmatch(text):
            what = f"“{word}” does not set a limit"
            todo = f"write NAME=NUMBER, at least 1, with one of {', '.join(known)}"
            raise ServiceError(what, todo=todo)
        given[name] = type(known[name])(text)
    return replace(Limits(), **given)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Retention:
    """How long packages and builds are kept that no target needs. ``room`` in bytes, for all."""

    days: float = 30.0
    room: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that is decided at the start.

    ``builds`` run at once and share ``jobs`` packages at once. ``open_enrolment`` lets anybody
    enrol, with ``open_quota`` seconds of building a day; otherwise a token does. ``accel`` is the
    prefix of X-Accel-Redirect of a proxy that hands out the files of the pool. ``sign`` is the key
    of packages and indexes.
    """

    state: State
    place: Place
    host: str = "127.0.0.1"
    port: int = 8080
    builds: int = 2
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    open_enrolment: bool = False
    open_quota: int | None = 3600
    tls_cert: Path | None = None
    tls_key: Path | None = None
    accel: str | None = None
    sign: str | None = None
    limits: Limits = Limits()
    retention: Retention = Retention()
    attempts: int = 3  # of a build during which the service ends


@dataclass(frozen=True, slots=True)
class State:
    """The directory of the service."""

    path: Path

    @property
    def database(self) -> Path:
        """The database (SQLite)."""
        return self.path / "service.sqlite"

    @property
    def lock(self) -> Path:
        """Held by the service that runs."""
        return self.path / "lock"

    @property
    def pool(self) -> Path:
        """The packages, as a PKGDIR."""
        return self.path / "pool"

    @property
    def slots(self) -> Path:
        """The slots that builds share."""
        return self.path / "slots"

    @property
    def descriptions(self) -> Path:
        """Where descriptions are."""
        return self.path / "descriptions"

    @property
    def builds(self) -> Path:
        """Where builds are."""
        return self.path / "builds"

    def description(self, digest: str) -> Path:
        """The description with a digest."""
        return self.descriptions / f"{digest}.json.gz"

    def build(self, id: str) -> Path:
        """The directory of a build: its events and logs."""
        return self.builds / id

    def make(self) -> None:
        """Make what is not there yet. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        for each in (self.pool, self.slots, self.descriptions, self.builds):
            each.mkdir(exist_ok=True)
