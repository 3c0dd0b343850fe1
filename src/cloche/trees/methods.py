"""The interface of all sync methods, and their context and request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cloche.config.errors import Origin
from cloche.config.lock import RepoPin
from cloche.config.sync import Sync
from cloche.fetching.download import Progress, quiet
from cloche.fetching.openpgp import GENTOO_KEYRING


@dataclass(frozen=True, slots=True)
class SyncContext:
    """The environment of a sync. ``cache`` keeps what makes the next sync faster.

    ``mirror`` and ``keyring`` are options, preferred to what is declared. ``status`` is called with
    a program's progress, many times a second.
    """

    cache: Path
    mirror: str | None = None
    keyring: Path | None = None
    report: Callable[[str], None] = lambda text: None
    status: Callable[[str], None] = lambda text: None
    progress: Progress = quiet


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The repository to sync: its name, how it is synced, where that is declared.

    ``pinned`` is the lock's entry if that state is wanted.
    """

    name: str
    sync: Sync
    origin: Origin
    pinned: RepoPin | None = None

    def keyring(self, context: SyncContext) -> Path:
        """The keys that may have signed it."""
        return context.keyring or self.sync.keyring or GENTOO_KEYRING


class SyncMethod(Protocol):
    """One sync method."""

    def newest(self, request: SyncRequest, context: SyncContext) -> RepoPin:
        """The newest state offered, as a pin without ``tree``. Fetches as little as possible.

        Raises `TreeError`, `FetchingError`.
        """

    def taken(
        self, request: SyncRequest, pin: RepoPin, room: Path, context: SyncContext
    ) -> tuple[Path, RepoPin]:
        """Fetch and verify what a pin names, in a directory in ``room`` or in the cache.

        Returns it with the completed pin. Raises `TreeError`, `FetchingError`.
        """
