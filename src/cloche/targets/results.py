"""What the calls of this room take and return: frozen values that travel between processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloche.cluster.connection import Settings
from cloche.targets.description import Description
from cloche.targets.levels import DEFAULT, Environment, Level


@dataclass(frozen=True, slots=True)
class Place:
    """Where targets are built for: a project's directory, the store, the engine, proxies.

    The project's repositories and seeds are those that targets can use; its machines do not matter.
    Builds share ``slots`` (`cloche.tasks.slots`) with those of other processes. With a ``cluster``
    its workers build, the share ``verified`` of the packages twice.
    """

    project: Path
    store: Path | None = None
    engine: str = "native"
    proxies: Mapping[str, str] = field(default_factory=dict)
    slots: Path | None = None
    cluster: Settings | None = None
    verified: float = 0.0


@dataclass(frozen=True, slots=True)
class Want:
    """What is asked for: atoms and ``@sets``, with options of emerge (`cloche.config.machine`).

    ``inject`` says whether the target's own code (patches, bashrc, package.env) may take part.
    A package that failed with equal inputs is only tried ``again`` if that is wanted.
    """

    atoms: tuple[str, ...]
    level: Level = DEFAULT
    options: tuple[str, ...] = ()
    inject: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Examined:
    """What the place makes of a target: the seed that it builds over, and what it cannot follow."""

    seed: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MadePackage:
    """A package for a target.

    ``gpkg`` is the SHA-256 of ``file``, which is ``size`` bytes; ``entry`` its entry in an index
    (`Packages`), of which PATH and BUILD_ID are the caller's to set. ``symbols`` are the versions
    of symbols that it needs, by their prefix. ``built`` says whether it was built now, in
    ``seconds``; ``level`` is the level that was asked for.
    """

    cpv: str
    repository: str
    use: tuple[str, ...]
    gpkg: str
    file: Path
    size: int
    entry: str
    environment: Environment
    symbols: tuple[tuple[str, str], ...]
    seed: str
    level: Level
    built: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Refused:
    """A package that cannot be made as the level demands, or was not made, with the reasons."""

    cpv: str
    reasons: tuple[str, ...]
    log: str | None = None


@dataclass(frozen=True, slots=True)
class Built:
    """What came of a want. ``notes`` are for the user."""

    packages: tuple[MadePackage, ...] = ()
    refused: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Offer:
    """A package that may go into a target's index.

    ``key`` is the caller's name for it; ``entry`` its entry there, ``environment`` what it was
    built in.
    """

    key: str
    cpv: str
    entry: str
    environment: Environment
    symbols: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a package fits and the target's Portage takes it; ``words`` say why not."""

    key: str
    accepted: bool
    words: str = ""


@dataclass(frozen=True, slots=True)
class Asker:
    """A target and what it asks for, for which costs are told."""

    name: str
    description: Description
    want: Want


@dataclass(frozen=True, slots=True)
class Known:
    """A package that there is already: what it was built in, and its size in bytes."""

    cpv: str
    use: tuple[str, ...]
    environment: Environment
    size: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a level would cost for what some targets ask for.

    ``environments`` are distinct ones, ``builds`` distinct packages in them, ``ready`` those of
    them that there are already. ``bytes`` is the size of all: of those that are not ready, that of
    the same version in another environment, or else the mean.
    """

    level: Level
    environments: int
    builds: int
    ready: int
    bytes: int
