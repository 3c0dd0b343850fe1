"""Who holds a lock: the kernel's own list of locks, with each process's command line."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")  # proc_locks(5)
_LONGEST = 80  # characters of a command that are shown


def holders(fd: int) -> tuple[str, ...]:
    """The processes that hold a flock(2) on an open file, ours not; none where nothing is known."""
    info = os.fstat(fd)
    place = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
    try:
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return ()
    pids = holders_of(lines, place) - {os.getpid()}
    return tuple(f"{command_of(pid)}, process {pid}" for pid in sorted(pids))


def holders_of(lines: list[str], place: str) -> set[int]:
    """The pids that hold a flock on the file ``MAJOR:MINOR:INODE``, those that wait for it not.

    A process of another pid namespace has no pid here, and is left out.
    """
    found = set()
    for line in lines:
        match line.split():
            case [_, "FLOCK", _, _, pid, where, *_] if where == place and int(pid) > 0:
                found.add(int(pid))
    return found


def command_of(pid: int) -> str:
    """What a process does, as its user typed it, in short."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return "a process that has ended"
    return in_short(words)


def in_short(words: list[str]) -> str:
    """A command without its interpreter and without the place of the program."""
    for at, word in enumerate(words[:4]):
        if Path(word).name in ("cloche", "cloche.cli"):
            words = ["cloche", *words[at + 1 :]]
            break
    line = " ".join(words)
    return f"`{line if len(line) <= _LONGEST else line[:_LONGEST] + '…'}`"
