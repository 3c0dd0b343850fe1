"""The common interface of all types of seeds: context, request and result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloche.config.lock import SeedLock
from cloche.config.project import SeedSpec
from cloche.fetching.download import Progress, quiet
from cloche.sandbox.base import Engine
from cloche.store import Store


@dataclass(frozen=True, slots=True)
class SeedContext:
    """What a seed is made with. ``log`` is appended to; ``cache`` keeps what was fetched.

    ``mirror`` and ``keyring`` are the command line's and go before what the declaration says.
    """

    engine: Engine
    store: Store
    cache: Path
    log: Path
    mirror: str | None = None
    keyring: Path | None = None
    report: Callable[[str], None] = lambda text: None
    progress: Progress = quiet


@dataclass(frozen=True, slots=True)
class SeedRequest:
    """What is to be made: the declaration, where its relative paths begin, and what is locked.

    ``update`` accepts that what is offered now differs from the lock.
    """

    spec: SeedSpec
    root: Path
    locked: SeedLock | None = None
    update: bool = False

    @property
    def pinned(self) -> SeedLock | None:
        """The lock's entry, where it is to be kept to."""
        return None if self.update else self.locked

    def path(self, key: str) -> Path | None:
        """A path of the declaration."""
        text = self.spec.text(key)
        return (self.root / text).absolute() if text else None


@dataclass(frozen=True, slots=True)
class MadeSeed:
    """A finished tree, not in the store yet, and its lock without the layer's id."""

    tree: Path
    lock: SeedLock
    portage: str
    packages: int = 0
