"""What a new state of a repository changes for machines, by the ebuilds of their last builds.

Nothing is resolved for this, so a package that the machines do not have yet is not among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloche.errors import ClocheError
from cloche.output.holdings import holding
from cloche.store import Store


def touched(
    store: Store, place: str, machines: Iterable[str], repo: str, states: tuple[Path, Path]
) -> Mapping[str, tuple[str, ...]]:
    """The packages of each built machine of which two ``states`` of a repository differ."""
    found = {}
    for machine in machines:
        try:
            held = holding(store, place, machine)
        except ClocheError:  # not built
            continue
        of_repo = sorted({each.cp for each in held.packages.values() if each.repo == repo})
        found[machine] = tuple(cp for cp in of_repo if differ(*states, cp))
    return found


def differ(before: Path, after: Path, cp: str) -> bool:
    """Whether the ebuilds of a package differ in two states of a repository."""
    return _ebuilds(before / cp) != _ebuilds(after / cp)


def _ebuilds(directory: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.glob("*.ebuild")
        if path.is_file() and not path.is_symlink()
    }
