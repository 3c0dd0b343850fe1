"""Enters a user namespace, in which an ordinary user is uid 0 with 65,536 ids."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from cloche.linux import processes
from cloche.sandbox.errors import HostError

IDS = 65536
_SWITCHES = (
    ("kernel/unprivileged_userns_clone", "0", "1"),
    ("kernel/apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user/max_user_namespaces", "0", "15000"),
)


@dataclass(frozen=True, slots=True)
class IdRange:
    """A range of subordinate ids of the host: ``start`` and the ``count - 1`` that follow."""

    start: int
    count: int


def enter() -> bool:
    """Become uid 0 of a new user and mount namespace; do nothing as uid 0. True if entered.

    Call it once, in a process without threads (setns(2)). The map is 0 → own id, 1…65535 → the
    first subordinate ranges of /etc/subuid and /etc/subgid. The environment stays as it is. The
    working directory does, too, unless the user may not enter it: then it is /. Raises HostError.
    """
    if os.geteuid() == 0:
        return False
    if processes.has_threads():
        raise HostError(
            "a process with threads cannot enter the user namespace that an ordinary user needs; "
            "open the session before it starts threads, or let the calls run in "
            "cloche.broker.executor.Workers (docs/api.md)"
        )
    uid, gid = os.getuid(), os.getgid()
    name = _user_name(uid)
    uids, gids = ranges(name, uid)
    for tool in ("newuidmap", "newgidmap"):
        if shutil.which(tool) is None:
            raise HostError(f"{tool} is missing", "apt install uidmap` or `emerge sys-apps/shadow")
    plan = (("newuidmap", uid, uids), ("newgidmap", gid, gids))
    _unshare_mapped(plan)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    try:
        Path().stat()
    except PermissionError:  # root's home, after `su`: nothing could be done from there
        os.chdir("/")
    return True


def find_range(lines: Iterable[str], name: str, uid: int) -> IdRange | None:
    """Return the first range of at least 65,535 ids that subuid(5) lines give to a user."""
    for line in lines:
        owner, _, rest = line.strip().partition(":")
        start, _, count = rest.partition(":")
        if owner not in (name, str(uid)) or not (start.isdigit() and count.isdigit()):
            continue
        if int(count) >= IDS - 1:
            return IdRange(int(start), int(count))
    return None


def mapped_ids(text: str) -> int:
    """Return how many ids a /proc/PID/uid_map maps."""
    return sum(int(line.split()[2]) for line in text.splitlines() if line.strip())


def is_real_root() -> bool:
    """Whether this is uid 0 of the host; root-only tools check the number alone."""
    return Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def ranges(name: str, uid: int) -> tuple[IdRange, IdRange]:
    """Return the user's ranges of uids and of gids.

    Raises HostError with one command for all that is missing.
    """
    files = {"uid": Path("/etc/subuid"), "gid": Path("/etc/subgid")}
    lines = {
        kind: file.read_text().splitlines() if file.exists() else [] for kind, file in files.items()
    }
    uids, gids = (find_range(lines[kind], name, uid) for kind in files)
    if uids and gids:
        return uids, gids
    free = _free_range([*lines["uid"], *lines["gid"]])
    missing = [kind for kind, found in (("uid", uids), ("gid", gids)) if found is None]
    options = " ".join(f"--add-sub{kind}s {free}" for kind in missing)
    places = " and ".join(str(files[kind]) for kind in missing)
    raise HostError(
        f"{name} has no range of {IDS - 1} ids in {places}", f"sudo usermod {options} {name}"
    )


def _free_range(lines: Iterable[str]) -> str:
    """Propose a range above all assigned ones."""
    start = 100000
    for line in lines:
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdigit() and fields[2].isdigit():
            start = max(start, int(fields[1]) + int(fields[2]))
    return f"{start}-{start + IDS - 1}"


def _unshare_mapped(plan: Iterable[tuple[str, int, IdRange]]) -> None:
    """Unshare while a child, which stays outside, waits to write the id maps of this process."""
    parent = os.getpid()
    go_read, go_write = os.pipe()
    result_read, result_write = os.pipe()
    helper = os.fork()
    if helper == 0:
        os.close(go_write)
        os.close(result_read)
        _helper(plan, parent, go_read, result_write)
    os.close(go_read)
    os.close(result_write)
    try:
        processes.unshare(processes.CLONE_NEWUSER | processes.CLONE_NEWNS)
        os.write(go_write, b"1")
    except OSError as error:
        raise _refused(error) from error
    finally:
        os.close(go_write)
        with os.fdopen(result_read, "rb") as stream:
            said = stream.read().decode(errors="replace").strip()
        os.waitpid(helper, 0)
    if said:
        raise HostError(f"the id map was rejected: {said}")


def _helper(
    plan: Iterable[tuple[str, int, IdRange]], parent: int, go: int, result: int
) -> NoReturn:
    """Map the parent's ids on its signal; write an error message, or nothing."""
    said = "the helper failed"
    try:
        if os.read(go, 1) != b"1":
            said = ""
            os._exit(0)
        said = ""
        for tool, own, ids in plan:
            numbers = [parent, 0, own, 1, 1, ids.start, IDS - 1]
            run = subprocess.run(
                [tool, *map(str, numbers)], capture_output=True, text=True, check=False
            )
            if run.returncode != 0:
                said = run.stderr.strip() or f"{tool} ended with status {run.returncode}"
                break
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    finally:
        os.write(result, said.encode())
        os._exit(0)


def _refused(error: OSError) -> HostError:
    """The error for a refused unshare, with the sysctl that causes it if one is known."""
    for name, bad, good in _SWITCHES:
        file = Path("/proc/sys") / name
        if file.exists() and file.read_text().strip() == bad:
            switch = name.replace("/", ".")
            return HostError(
                f"user namespaces are disabled ({switch} is {bad})",
                f"sudo sysctl -w {switch}={good}",
            )
    return HostError(f"cannot create a user namespace: {error.strerror}")


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
