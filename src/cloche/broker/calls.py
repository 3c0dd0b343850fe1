"""The functions that workers may call. A new one is a line in `CALLS`.

Arguments and results are decoded by the functions' annotations (`messages`). Functions are named,
not imported, since they may be in rooms above this one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cloche import store as stores
from cloche.store import Store, Tree, VerifyReport

CALLS = frozenset(
    {
        "cloche.broker.calls:trees",
        "cloche.broker.calls:verify",
        "cloche.probing.availability:look",
        "cloche.releng.calls:build",
        "cloche.session.calls:build",
        "cloche.targets.calls:accept",
        "cloche.targets.calls:build",
        "cloche.targets.calls:costs",
        "cloche.targets.calls:examine",
    }
)


def trees(store: Path) -> list[Tree]:
    """All trees of a store: layers and others."""
    with Store.open(store) as opened:
        return opened.trees()


def verify(
    store: Path,
    *,
    repair: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> VerifyReport:
    """Read every tree and file of a store again; see `cloche.store.verify`."""
    with Store.open(store) as opened:
        return stores.verify(opened, repair=repair, progress=progress)
