"""Live ebuilds (PROPERTIES=live): which of them may fetch, and the pins of their sources."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.config.lock import Revision
from cloche.layers import Layer
from cloche.plan.depgraph import Package
from cloche.plan.names import matching

_NOT_OF_A_NAME = re.compile(r"[^a-zA-Z0-9_]")


@dataclass(frozen=True, slots=True)
class Live:
    """The user's settings for live ebuilds: ``allowed`` are names of packages, with wildcards.

    ``lock`` is the file that pins their sources; with ``locked`` it is not changed.
    """

    allowed: tuple[str, ...] = ()
    lock: Path | None = None
    locked: bool = False

    def allows(self, package: Package) -> bool:
        """Whether the package's own code may fetch."""
        return any(matching(name, [package.id]) for name in self.allowed)


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources of one package: what was fetched, as a layer, and the commits that count."""

    layer: Layer
    commits: tuple[Revision, ...]

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables by which eclasses use these sources offline."""
        return {"EVCS_OFFLINE": "1", **overrides(self.commits)}


def is_live(package: Package) -> bool:
    """Whether the package's ebuild fetches when it is built."""
    return "live" in package.properties and package.binary is None


def overrides(commits: Sequence[Revision]) -> dict[str, str]:
    """The variables by which git-r3.eclass uses a commit instead of the newest.

    Repositories of which the ebuild uses several commits are left out: it names them itself.
    """
    count = Counter(each.repository for each in commits)
    return {
        f"EGIT_OVERRIDE_COMMIT_{_override_name(each.repository)}": each.commit
        for each in commits
        if count[each.repository] == 1
    }


def _override_name(repository: str) -> str:
    """The name that the eclass derives from the directory in its store."""
    return _NOT_OF_A_NAME.sub("_", repository.removesuffix(".git")).upper()
