"""Tokens, targets, builds, packages: frozen values, rows of the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from cloche.display.text import count
from cloche.service.errors import ServiceError
from cloche.targets.levels import Level

BuildState = Literal["queued", "running", "done", "failed", "stopped"]
_LONGEST_NAME = 100
GIVEN_UP = 8  # failures of a proof in a row, in about an hour: packages do not wait for it any more
ENDED: tuple[BuildState, ...] = ("done", "failed", "stopped")


class Role(StrEnum):
    """What a token allows; each role also allows what those before it do."""

    READ = "read"
    REQUEST = "request"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Its place in the order."""
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class Payer:
    """Whose quota a build uses; ``quota`` are seconds of building in a day, None: no limit."""

    account: str
    quota: int | None


@dataclass(frozen=True, slots=True)
class Token:
    """A token, which is stored as a digest only. Times are seconds since the epoch.

    One with a ``target`` is for this target alone. ``inject`` lets code of the target take part in
    builds. ``quota`` are seconds of building in a day; None: no limit. It shares that with the
    others of its ``account``: the token, or the address, that enrolled its target.
    """

    id: str
    name: str
    role: Role
    target: str | None
    inject: bool
    quota: int | None
    made: float
    used: float | None = None
    revoked: float | None = None
    account: str | None = None

    @property
    def payer(self) -> Payer:
        """Whose quota it uses."""
        return Payer(self.account or self.id, self.quota)

    @property
    def everywhere(self) -> bool:
        """Whether it sees all targets: an administrator's does, unless it is for one target."""
        return self.role is Role.ADMIN and self.target is None


def checked_name(name: str) -> str:
    """The name of a target or a token. Raises ServiceError."""
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        what = f"a name is 1 to {_LONGEST_NAME} printable characters"
        raise ServiceError(what, todo="use the name of its host")
    return name.strip()


@dataclass(frozen=True, slots=True)
class Target:
    """A target machine. ``digest`` names its description, ``owner`` the token that enrolled it."""

    id: str
    name: str
    digest: str
    level: Level
    owner: str | None
    arch: str
    chost: str
    profile: str
    notes: tuple[str, ...]
    made: float
    changed: float


@dataclass(frozen=True, slots=True)
class Fault:
    """Why it could not be proven what a target takes at a level, so many times in a row."""

    target: str
    level: Level
    failures: int
    what: str

    @property
    def words(self) -> str:
        """What is shown of it."""
        times = count(self.failures, "time")
        words = f"what it takes at level {self.level} could not be proven ({times}): {self.what}"
        return words if self.failures < GIVEN_UP else f"{words}; no package is kept for it alone"


@dataclass(frozen=True, slots=True)
class Work:
    """What a build does. Equal works give equal results while the ``repositories`` are the same."""

    digest: str
    level: Level
    options: tuple[str, ...]
    inject: bool


@dataclass(frozen=True, slots=True)
class Build:
    """A build. ``parts`` are the atoms of each request that it answers.

    ``seconds`` is how long it ran; ``error`` a problem that ended it, as `ClocheError.as_data` has
    it. ``targets`` are those that asked for it. What failed before is tried ``again`` in one that
    is repeated.
    """

    id: str
    number: int
    work: Work
    parts: tuple[tuple[str, ...], ...]
    state: BuildState
    repositories: str
    attempts: int
    asked: float
    started: float | None
    ended: float | None
    seconds: float
    error: Mapping[str, Any] | None
    notes: tuple[str, ...]
    targets: tuple[str, ...]
    again: bool = False

    @property
    def atoms(self) -> tuple[str, ...]:
        """All atoms, each once."""
        return tuple(dict.fromkeys(atom for part in self.parts for atom in part))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a package in a build; ``words`` say why it was not made."""

    cpv: str
    state: Literal["made", "failed"]
    words: str = ""
    package: int | None = None
    built: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Package:
    """A published package. ``gpkg`` is the digest of the file as it was built, before signing."""

    id: int
    gpkg: str
    cpv: str
    repository: str
    use: tuple[str, ...]
    path: str
    number: int
    size: int
    entry: str
    arch: str
    chost: str
    build: str | None
    made: float
    used: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package in one of the environments that it was built in, which may be offered."""

    id: int
    package: int
    cpv: str
    entry: str
    environment: bytes
    symbols: tuple[tuple[str, str], ...]
    level: Level
    digest: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on a candidate."""

    candidate: int
    accepted: bool
    words: str
