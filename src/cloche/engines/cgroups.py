"""Control groups for the limits that rlimits cannot express. Where none can be made: nothing.

Moving a process into a group costs some 20 ms, far more than all else that a start does. Therefore
an engine's launcher enters one group for all its sandboxes, once, and a sandbox gets a group of its
own only for limits tighter than that.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable
from pathlib import Path

from cloche.engines.base import Limits

_counter = itertools.count()
_MOUNTS = Path("/sys/fs/cgroup")
_FILES = {
    ("pids", 1): "pids.max",
    ("pids", 2): "pids.max",
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
}
_ENGINE_PROCESSES = 16384


def create_for_engine() -> tuple[str, ...]:
    """Make the group of all sandboxes. Real root needs it: RLIMIT_NPROC does not hold for uid 0."""
    return _create({"pids": _ENGINE_PROCESSES})


def create_for_sandbox(limits: Limits) -> tuple[str, ...]:
    """Make groups for one sandbox if its limits ask for them; return their paths."""
    wanted: dict[str, int] = {}
    if limits.memory is not None:
        wanted["memory"] = limits.memory
    if limits.processes is not None and limits.processes < (Limits().processes or 0):
        wanted["pids"] = limits.processes
    return _create(wanted)


def can_limit_memory() -> bool:
    """Whether a group with a limit on memory can be made here; an ordinary user seldom may."""
    made = _create({"memory": 1 << 30})
    remove(made)
    return bool(made)


def join(paths: Iterable[str]) -> None:
    """Move the calling process into groups."""
    for path in paths:
        with contextlib.suppress(OSError):
            Path(path, "cgroup.procs").write_text("0")


def remove(paths: Iterable[str]) -> None:
    """Remove groups whose processes have ended."""
    for path in paths:
        with contextlib.suppress(OSError):
            Path(path).rmdir()


def _create(wanted: dict[str, int]) -> tuple[str, ...]:
    made: list[str] = []
    for controller, value in wanted.items():
        for version, parent in _parents(controller):
            path = parent / f"cloche-{os.getpid()}-{next(_counter)}"
            try:
                _sweep(parent)
                path.mkdir()
                (path / _FILES[controller, version]).write_text(str(value))
            except OSError:
                remove([str(path)])
                continue
            made.append(str(path))
            break
    return tuple(made)


def _sweep(parent: Path) -> None:
    """Remove empty groups of processes that were killed before they could."""
    for path in parent.glob("cloche-*-*"):
        if not Path("/proc", path.name.split("-")[1]).exists():
            remove([str(path)])


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
