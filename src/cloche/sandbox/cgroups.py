"""Control groups for limits that rlimits cannot express; optional, as not every host allows them.

Moving a process into a group takes some 20 ms, far more than the rest of a start. So an engine's
launcher enters one group for all its sandboxes, and a sandbox gets its own group only for tighter
limits.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

from cloche.sandbox.base import Limits

_counter = itertools.count()
_OURS = re.compile(r"cloche-([0-9]+)-[0-9]+")  # what `_name` makes, with the maker's pid
_MOUNTS = Path("/sys/fs/cgroup")
_FILES = {
    ("pids", 1): "pids.max",
    ("pids", 2): "pids.max",
    ("memory", 1): "memory.limit_in_bytes",
    ("memory", 2): "memory.max",
}
_ENGINE_PROCESSES = 16384
_TRIES, _PAUSE = 125, 0.002  # seconds


def create_for_engine() -> tuple[str, ...]:
    """Make the group of all sandboxes. Real root needs it: RLIMIT_NPROC does not apply to uid 0.

    Groups that killed programs left behind are removed first.
    """
    controllers = {controller for controller, _ in _FILES}
    places = {parent for each in controllers for _, parent in _parents(each)}
    for parent in places.union(_tool_parents()):
        _sweep(parent)
    return _create({"pids": _ENGINE_PROCESSES})


def create_for_tool() -> tuple[str, ...]:
    """Make groups below which a tool makes groups of its own, so that those are removed, too.

    They have one name: nspawn makes in systemd's hierarchy what it finds in the unified one.
    """
    made, own = [], _name()
    for parent in _tool_parents():
        with contextlib.suppress(OSError):
            made.append(_make(parent, own))
    return tuple(map(str, made))


def _tool_parents() -> list[Path]:
    """Where tools make groups by name alone: the unified hierarchy, and systemd's."""
    found = []
    for line in _own_groups():
        _, controllers, path = line.split(":", 2)
        names = {"": ("unified", "."), "name=systemd": ("systemd",)}.get(controllers, ())
        places = (_MOUNTS / name / path.lstrip("/") for name in names)
        found += [place for place in places if (place / "cgroup.procs").exists()][:1]
    return found


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


def remove(paths: Iterable[str], tries: int = _TRIES) -> None:
    """Remove groups whose processes have ended, and all below them."""
    for path in paths:
        below = [directory for directory in Path(path).glob("**/") if directory.is_dir()]
        for directory in sorted(below, reverse=True):
            _remove(directory, tries)


def _remove(directory: Path, tries: int) -> None:
    """Remove one group; processes that were just killed may still be in it."""
    for _ in range(tries):
        try:
            directory.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                return
            time.sleep(_PAUSE)


def _create(wanted: dict[str, int]) -> tuple[str, ...]:
    made: list[str] = []
    for controller, value in wanted.items():
        for version, parent in _parents(controller):
            try:
                path = _make(parent, _name())
            except OSError:
                continue
            try:
                (path / _FILES[controller, version]).write_text(str(value))
            except OSError:
                remove([str(path)])
                continue
            made.append(str(path))
            break
    return tuple(made)


def _name() -> str:
    return f"cloche-{os.getpid()}-{next(_counter)}"


def _make(parent: Path, name: str) -> Path:
    path = parent / name
    path.mkdir()
    return path


def _sweep(parent: Path) -> None:
    """Remove empty groups that killed cloche processes left behind, and no others.

    A group with processes belongs to a program in another PID namespace that still runs.
    """
    for path in parent.glob("cloche-*-*"):
        named = _OURS.fullmatch(path.name)
        if named and not Path("/proc", named[1]).exists():
            remove([str(path)], tries=1 if _has_processes(path) else _TRIES)


def _has_processes(group: Path) -> bool:
    """Whether a process is in a group or below it; one that is leaving it does not count."""
    with contextlib.suppress(OSError):
        return any(file.read_text() for file in group.glob("**/cgroup.procs"))
    return False


def _parents(controller: str) -> list[tuple[int, Path]]:
    """Return where a group with a controller may be made: its version and the directory."""
    places: list[tuple[int, Path]] = []
    for line in _own_groups():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            places.append((1, _MOUNTS / controller / path.lstrip("/")))
        elif not controllers:
            place = _MOUNTS / path.lstrip("/")
            with contextlib.suppress(OSError):
                if controller in (place / "cgroup.subtree_control").read_text().split():
                    places.append((2, place))
    return places


def _own_groups() -> list[str]:
    """The lines of /proc/self/cgroup: number, controllers, path (cgroups(7))."""
    try:
        return Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
