"""Finds emerge among the processes, and its running phases (proc(5)).

``/proc/PID/root`` is the root of a process, also in a chroot or container: all files of an emerge
are read below it. /proc/PID of a foreign process is untrusted text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath

from cloche.linux.processes import CLONE_NEWUSER, setns

PROC = Path("/proc")
_CPV = re.compile(r"[\w+][\w+.-]*/[\w+][\w+.-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Emerge:
    """A running emerge. ``inner`` is the pid in its namespace; ``began`` seconds since the epoch.

    ``argv`` are the arguments of its command line.
    """

    pid: int
    inner: int
    argv: tuple[str, ...]
    interpreter: str
    began: float

    @property
    def root(self) -> Path:
        """Its root directory, for as long as it lives."""
        return PROC / str(self.pid) / "root"

    @property
    def place(self) -> Path:
        """Its root directory by a name that stays valid after its end, if there is one."""
        try:
            named = Path(self.root.readlink())
            return named if os.path.samestat(named.stat(), self.root.stat()) else self.root
        except OSError:
            return self.root

    @property
    def target(self) -> Path:
        """The directory that it installs to: its root, or what ``--root`` or ROOT names there.

        The command lines of all processes are readable, environments only of one's own.
        """
        named = environment_of(self).get("ROOT", "")
        for word, after in zip(self.argv, (*self.argv, "")[1:], strict=True):
            if word == "--root":
                named = after
            elif word.startswith("--root="):
                named = word.removeprefix("--root=")
        return self.root / named.lstrip("/") if named.startswith("/") else self.root

    @property
    def alive(self) -> bool:
        """Whether the process still exists, and is not a zombie."""
        return is_alive(self.pid)


@dataclass(frozen=True, slots=True)
class Ebuild:
    """What ``ebuild.sh`` does for a package now; ``log`` is readable from here."""

    cpv: str
    phase: str
    log: str | None


def is_alive(pid: int) -> bool:
    """Whether the process exists, and is not a zombie."""
    status = _stat(pid)
    return status is not None and status[0] not in "ZX"


def running_emerges(root: Path | None = None) -> tuple[Emerge, ...]:
    """Every visible emerge, or those that run in ``root`` or install to it; oldest first.

    Includes those whose root is unknown (see `is_open`).
    """
    found = [emerge for pid in _pids() if (emerge := _emerge(pid)) is not None]
    pids = {emerge.pid for emerge in found}
    top = [emerge for emerge in found if not pids.intersection(_ancestors(emerge.pid))]
    if root is not None:
        wanted = root.stat()
        fits = [_same(emerge.root, wanted) or _same(emerge.target, wanted) for emerge in top]
        top = [emerge for emerge, fit in zip(top, fits, strict=True) if fit is not False]
    return tuple(sorted(top, key=lambda emerge: emerge.began))


def is_open(emerge: Emerge) -> bool:
    """Whether this user may inspect an emerge: another user's only shows its command line."""
    try:
        emerge.root.stat()
    except PermissionError:
        return False
    except OSError:
        pass  # gone: opening it says so
    return True


def join(emerge: Emerge) -> None:
    """Enter the user namespace of an emerge, if this user owns another one in which it runs.

    Its owner is root there, and can read all files of that emerge and enter its root directory.
    Call it before starting threads (setns(2)).
    """
    if os.geteuid() == 0:
        return
    with suppress(OSError), open(PROC / str(emerge.pid) / "ns/user", "rb") as theirs:
        if not _same(PROC / "self/ns/user", os.fstat(theirs.fileno())):
            setns(theirs.fileno(), CLONE_NEWUSER)


def ebuilds_of(emerge: Emerge) -> dict[str, Ebuild]:
    """The running phases of an emerge, by cpv. Empty if /proc is not readable."""
    found: dict[str, Ebuild] = {}
    place = emerge.place
    parents = {pid: status[1] for pid in _pids() if (status := _stat(pid)) is not None}
    for pid in sorted(parents):
        if not _below(pid, emerge.pid, parents):
            continue
        words = _words(pid, "cmdline")
        if not any(PurePath(word).name == "ebuild.sh" for word in words[:4]):
            continue
        ebuild = _ebuild(_environment(pid), place)
        if ebuild is not None:
            found.setdefault(ebuild.cpv, ebuild)
    return found


def environment_of(emerge: Emerge) -> dict[str, str]:
    """The environment that an emerge was started with; empty if it is not readable."""
    return _environment(emerge.pid)


def _ebuild(environment: Mapping[str, str], root: Path) -> Ebuild | None:
    cpv = f"{environment.get('CATEGORY', '')}/{environment.get('PF', '')}"
    phase = environment.get("EBUILD_PHASE", "")
    if not _CPV.fullmatch(cpv) or not re.fullmatch(r"\w+", phase, re.ASCII) or phase == "depend":
        return None
    name = environment.get("PORTAGE_LOG_FILE", "")
    log = root / name.lstrip("/") if name.startswith("/") and ".." not in name else None
    return Ebuild(cpv, phase, str(log) if log is not None else None)


def _emerge(pid: int) -> Emerge | None:
    """The process as an emerge, if it is one: Python with a script of that name."""
    words = _words(pid, "cmdline")
    status = _stat(pid)
    place = next((n for n, word in enumerate(words[:8]) if PurePath(word).name == "emerge"), None)
    if place is None or status is None or status[0] in "ZX":
        return None
    if place == 0 or not PurePath(words[0]).name.startswith(("python", "pypy")):
        return None
    return Emerge(
        pid=pid,
        inner=_inner(pid),
        argv=tuple(words[place + 1 :]),
        interpreter=_interpreter(pid),
        began=status[2],
    )


def _interpreter(pid: int) -> str:
    """Where its Python lies in its own root."""
    try:
        program = str((PROC / str(pid) / "exe").readlink())
        root = str((PROC / str(pid) / "root").readlink())
    except OSError:
        return "/usr/bin/python3"
    return program if root == "/" else "/" + program.removeprefix(root).lstrip("/")


def _pids() -> list[int]:
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def _words(pid: int, name: str) -> list[str]:
    """A file of NUL-separated strings; empty if it is gone or not readable."""
    try:
        data = (PROC / str(pid) / name).read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in data.split(b"\0")[:-1]]


def _environment(pid: int) -> dict[str, str]:
    return {
        name: value
        for name, equals, value in (word.partition("=") for word in _words(pid, "environ"))
        if equals
    }


def _stat(pid: int) -> tuple[str, int, float] | None:
    """State, parent, and start in seconds of the epoch (proc_pid_stat(5))."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
        fields = text.rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return fields[0], int(fields[1]), _boot_time() + started
    except (OSError, IndexError, ValueError):
        return None


@cache
def _boot_time() -> int:
    """Seconds of the epoch."""
    lines = (PROC / "stat").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("btime "))


def _inner(pid: int) -> int:
    """The pid in the process's own namespace (NSpid of proc_pid_status(5))."""
    try:
        for line in (PROC / str(pid) / "status").read_text(errors="replace").splitlines():
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    except OSError:
        pass
    return pid


def _ancestors(pid: int) -> list[int]:
    found: list[int] = []
    while (status := _stat(pid)) is not None and status[1] > 0 and status[1] not in found:
        pid = status[1]
        found.append(pid)
    return found


def _below(pid: int, top: int, parents: Mapping[int, int]) -> bool:
    seen = set()
    while pid in parents and pid not in seen:
        seen.add(pid)
        pid = parents[pid]
        if pid == top:
            return True
    return False


def _same(path: Path, wanted: os.stat_result) -> bool | None:
    """Whether it is that directory; None without permission."""
    try:
        return os.path.samestat(path.stat(), wanted)
    except PermissionError:
        return None
    except OSError:
        return False
