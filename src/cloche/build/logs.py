"""Where logs lie: ``logs/CATEGORY/PF/TIME-STEP.log`` in the store, newest found by name."""

from __future__ import annotations

import time
from pathlib import Path

from cloche.store import Store


def new_log(store: Store, cpv: str, step: str) -> Path:
    """An empty log file of its own for one run of a step."""
    directory = store.logs / cpv
    directory.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    for count in range(1000):
        path = directory / f"{stamp}-{count:03d}-{step}.log"
        try:
            path.touch(exist_ok=False)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(directory)


def logs_of(store: Store, cpv: str) -> tuple[Path, ...]:
    """Every log of a package, the oldest first."""
    return tuple(sorted((store.logs / cpv).glob("*.log")))


def logged_packages(store: Store) -> tuple[str, ...]:
    """Each cpv that has a log."""
    return tuple(sorted(f"{d.parent.name}/{d.name}" for d in store.logs.glob("*/*") if d.is_dir()))
