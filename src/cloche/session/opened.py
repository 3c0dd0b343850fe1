"""What the functions of the session take: what is open (`Opened`), and the caller's `Choices`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakSet

from cloche.building.context import Elsewhere
from cloche.config.project import Project
from cloche.records.events import Event, Sink
from cloche.sandbox.base import Engine
from cloche.store import Store
from cloche.tasks.guestcall import Running


def nobody(event: Event) -> None:
    """Hear nothing."""


@dataclass(frozen=True, slots=True)
class Opened:
    """See `cloche.session.session.Session`."""

    project: Project
    store: Store
    engine: Engine
    sink: Sink = nobody
    proxies: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Elsewhere | None = None
    runs: WeakSet[Running] = field(default_factory=WeakSet)


@dataclass(frozen=True, slots=True)
class Choices:
    """How a caller wants to plan or build; the project has none of it.

    ``jobs`` packages are built at once (None: as the project says, or as many as there are cores).
    ``keep_going`` goes on after a failure with all that can be done. ``offline`` fetches nothing.
    ``strict`` hides all of the seed but a named toolchain from builds, ``locked`` refuses what is
    not as in cloche.lock, ``strict_hooks`` and ``strict_config`` make errors of warnings. ``live``
    lets live ebuilds fetch. ``autounmask_write`` is the fragment that takes what Portage proposes.
    With ``packages`` only these and what they need are built, and nothing is delivered; packages of
    ``rebuild`` are built although they are known.
    """

    jobs: int | None = None
    keep_going: bool = False
    offline: bool = False
    strict: bool = False
    locked: bool = False
    strict_hooks: bool = False
    strict_config: bool = False
    live: bool = False
    autounmask_write: str | None = None
    packages: tuple[str, ...] = ()
    rebuild: tuple[str, ...] = ()
