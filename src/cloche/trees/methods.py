"""Taking a repository from where it is published: what all ways have in common."""

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
    """What a repository is taken with. ``cache`` keeps what makes the next time quicker.

    ``mirror`` and ``keyring`` are the command line's and go before what was declared. ``status`` is
    told what a program shows of its work, many times a second.
    """

    cache: Path
    mirror: str | None = None
    keyring: Path | None = None
    report: Callable[[str], None] = lambda text: None
    status: Callable[[str], None] = lambda text: None
    progress: Progress = quiet


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """A repository: its name, how it is taken, where that was declared; what is to be had.

    ``pinned`` is the lock's entry where it is to be kept to.
    """

    name: str
    sync: Sync
    origin: Origin
    pinned: RepoPin | None = None

    def keyring(self, context: SyncContext) -> Path:
        """The keys that may have signed it."""
        return context.keyring or self.sync.keyring or GENTOO_KEYRING


class SyncMethod(Protocol):
    """One type of sync."""

    def newest(self, request: SyncRequest, context: SyncContext) -> RepoPin:
        """What is offered now: a pin without ``tree``. As little as possible is fetched.

        Raises `TreeError`, `FetchingError`.
        """

    def taken(
        self, request: SyncRequest, pin: RepoPin, room: Path, context: SyncContext
    ) -> tuple[Path, RepoPin]:
        """Bring what a pin names, verified, to a directory, in ``room`` or in the cache.

        Gives it with the pin, filled up. Raises `TreeError`, `FetchingError`.
        """
