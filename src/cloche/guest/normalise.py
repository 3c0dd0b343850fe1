"""Removes from an image and its build-info what differs between builds."""

from __future__ import annotations

import bz2
import os
import re
from pathlib import Path

from .variables import words

#: Variables of bash, or of one run, that Portage's filter keeps. Each differs between two builds of
#: one package, or can.
VOLATILE = words(
    """
    BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_LINENO BASH_SOURCE BASH_MONOSECONDS
    EPOCHREALTIME EPOCHSECONDS PPID RANDOM SECONDS SRANDOM HISTCMD LINENO
    PORTAGE_EBUILD_EXIT_FILE PORTAGE_IPC_DAEMON PORTAGE_LOG_FILE PORTAGE_BUILDDIR_LOCKED
    PORTAGE_COMPRESSION_COMMAND MAKE MAKEFLAGS MAKEOPTS NINJAOPTS GNUMAKEFLAGS PREROOTPATH
    """
)
#: Lists of a build-info directory whose order means nothing.
UNORDERED = ("NEEDED", "NEEDED.ELF.2")
_DECLARATION = re.compile(rb'^declare (?:-[-a-zA-Z]+ )?([A-Za-z_][A-Za-z0-9_]*)(?:=("?)|$)')


def clamp_times(top: Path, newest: int) -> int:
    """Set every time stamp in ``top`` (itself included) that is later than ``newest`` to it.

    Earlier time stamps, for example from a tarball, stay. Returns how many were set.
    """
    count = 0
    directories = [top]
    while directories:
        directory = directories.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(Path(entry.path))
                else:
                    count += _clamp(entry.path, newest)
        count += _clamp(directory, newest)
    return count


def _clamp(path: str | Path, newest: int) -> int:
    status = os.lstat(path)
    # VDB and tar do not hold fractions of a second; cut off here, times are the same everywhere.
    stamp = min(int(status.st_mtime), newest)
    if status.st_mtime_ns == stamp * 10**9:
        return 0
    os.utime(path, (stamp, stamp), follow_symlinks=False)
    return 1


def still_environment(text: bytes) -> bytes:
    """A saved environment without the variables that differ between builds.

    Portage saves ``declare -p``, then ``declare -fp``; functions stay as they are.
    """
    lines = text.splitlines(keepends=True)
    kept = []
    at = 0
    while at < len(lines) and (found := _DECLARATION.match(lines[at])):
        end = at + 1
        if found.group(2) == b'"':  # bash before 5.2 writes a newline in a value as it is
            while end < len(lines) and not _closed(lines[at:end]):
                end += 1
        if found.group(1).decode() not in VOLATILE:
            kept += lines[at:end]
        at = end
    return b"".join(kept + lines[at:])


def _closed(lines: list[bytes]) -> bool:
    """Whether the double quotes in the lines of a declaration are balanced."""
    return re.sub(rb"\\.", b"", b"".join(lines), flags=re.DOTALL).count(b'"') % 2 == 0


def normalise_build_info(directory: Path, epoch: int) -> None:
    """Make the files of a build-info directory independent of the time of the build."""
    (directory / "BUILD_TIME").write_text(f"{epoch}\n", encoding="ascii")
    environment = directory / "environment.bz2"
    if environment.exists():
        saved = environment.read_bytes()
        environment.write_bytes(bz2.compress(still_environment(bz2.decompress(saved)), 9))
    for name in UNORDERED:
        file = directory / name
        if file.exists():
            lines = sorted(file.read_bytes().splitlines(keepends=True))
            file.write_bytes(b"".join(lines))
