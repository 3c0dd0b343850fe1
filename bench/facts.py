"""What was measured, and on which machine. No name of a host, no path."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from bench.place import ROOT


def about(place: Path, load: float) -> Iterator[tuple[str, str]]:
    """Pairs for the head of the file; ``load`` is that before the start."""
    if commit := _commit():
        yield "commit", commit
    yield "date", time.strftime("%Y-%m-%d", time.gmtime())
    yield "kernel", f"{platform.system()} {platform.release()}"
    yield "processor", f"{_processor()}, {len(os.sched_getaffinity(0))} cores"
    yield "memory", f"{_memory() / 2**30:.0f} GiB"
    yield "file system of the store", _file_system(place)
    yield "load before the start", f"{load:.2f}"
    yield "Python", platform.python_version()
    yield "cloche", version("cloche")
    yield "SQLite", _sqlite()
    if shutil.which("bwrap"):
        yield "bubblewrap", _told("bwrap", "--version").split()[-1]


def _commit() -> str:
    """What git calls the code that was measured; empty outside of a checkout."""
    words = ("git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=, changed")
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _file_system(place: Path) -> str:
    """The kernel's name for it: proc_pid_mountinfo(5), of the longest mount point that fits."""
    found = ("", "unknown")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, rest = line.partition(" - ")
        point = mount.split()[4]
        if place.is_relative_to(point) and len(point) >= len(found[0]):
            found = point, rest.split()[0]
    return found[1]


def _sqlite() -> str:
    import sqlite3

    return sqlite3.sqlite_version


def _told(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout
