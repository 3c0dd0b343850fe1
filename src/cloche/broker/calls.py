"""The functions that workers call, and nothing else. A new one is a line in `CALLS`.

Each has annotations, by which its arguments and its result are decoded (`messages`). They are named
and not imported, since they may be in rooms above this one.
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
        "cloche.session.calls:build",
    }
)


def trees(store: Path) -> list[Tree]:
    """All trees of a store: layers, and what else is kept as one."""
    with Store.open(store) as opened:
        return opened.trees()


def verify(
    store: Path,
    *,
    repair: bool = False,
    progress: Callable[[int, int, str], None] | None = None,
) -> VerifyReport:
    """Read a store's every tree and file again; see `cloche.store.verify`."""
    with Store.open(store) as opened:
        return stores.verify(opened, repair=repair, progress=progress)
