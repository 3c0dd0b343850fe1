"""Control groups for the limits that rlimits cannot express. Where none can be made: nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from cloche.engines.base import Limits

_counter = itertools.count()
_MOUNTS = Path("/sys/fs/cgroup")
_FILES = {1: ("pids.max", "memory.limit_in_bytes"), 2: ("pids.max", "memory.max")}


def create(limits: Limits) -> tuple[str, ...]:
    """Make groups for one sandbox below our own; return their paths, none where it cannot be.

    Sandboxes of real root need them most: RLIMIT_NPROC does not hold for uid 0.
    """
    made: list[str] = []
    values = {"pids": limits.processes, "memory": limits.memory}
    for controller, value in values.items():
        if value is None:
            continue
        for version, parent in _parents(controller):
            name = _FILES[version][0 if controller == "pids" else 1]
            path = parent / f"cloche-{os.getpid()}-{next(_counter)}"
            try:
                path.mkdir()
                made.append(str(path))
                (path / name).write_text(str(value))
            except OSError:
                continue
            break
    return tuple(made)


def remove(paths: Iterable[str]) -> None:
    """Remove groups whose processes have ended."""
    for path in paths:
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def _parents(controller: str) -> list[tuple[int, Path]]:
    """Return where a group with a controller may be made: its version and the directory."""
    places: list[tuple[int, Path]] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return places
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            places.append((1, _MOUNTS / controller / path.lstrip("/")))
        elif not controllers:
            place = _MOUNTS / path.lstrip("/")
            with contextlib.suppress(OSError):
                if controller in (place / "cgroup.subtree_control").read_text().split():
                    places.append((2, place))
    return places
