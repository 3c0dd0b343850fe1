"""What a caller may choose when a machine is planned or built; none of it is in the project."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Choices:
    """How to plan or build.

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
