"""Taking out of an image and its build-info what differs from one build to the next."""

from __future__ import annotations

import bz2
import os
import re
from pathlib import Path

from .variables import words

#: Variables of bash's own, or of the moment, that Portage's filter lets through. Each was seen to
#: differ between two builds of one package, or can.
VOLATILE = words(
    """
    BASHOPTS BASHPID BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_LINENO BASH_SOURCE BASH_MONOSECONDS
    EPOCHREALTIME EPOCHSECONDS PPID RANDOM SECONDS SRANDOM HISTCMD LINENO
    PORTAGE_EBUILD_EXIT_FILE PORTAGE_IPC_DAEMON PORTAGE_LOG_FILE PORTAGE_BUILDDIR_LOCKED MAKE
    MAKEFLAGS MAKEOPTS NINJAOPTS GNUMAKEFLAGS PREROOTPATH
    """
)
#: Lists of a build-info directory that carry no order.
UNORDERED = ("NEEDED", "NEEDED.ELF.2")
_DECLARATION = re.compile(rb"^declare (?:-[-a-zA-Z]+ )?([A-Za-z_][A-Za-z0-9_]*)(?:=|$)")


def clamp_times(top: Path, newest: int) -> int:
    """Set every time stamp under ``top`` (itself included) that is later than ``newest`` to it.

    What a tarball stamped earlier keeps its stamp. Returns how many were set.
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
    # Parts of a second are lost in VDB and tar; cut off here, so that they are the same everywhere.
    stamp = min(int(status.st_mtime), newest)
    if status.st_mtime_ns == stamp * 10**9:
        return 0
    os.utime(path, (stamp, stamp), follow_symlinks=False)
    return 1


def still_environment(text: bytes) -> bytes:
    """A saved environment without the variables of the moment. Functions stay as they are."""
    kept = []
    skipping = False
    for line in text.splitlines(keepends=True):
        found = _DECLARATION.match(line)
        if found is not None:
            skipping = found.group(1).decode() in VOLATILE
        elif not skipping:
            kept.append(line)
            continue
        if not skipping:
            kept.append(line)
        elif _ends(line):
            skipping = False
    return b"".join(kept)


def _ends(line: bytes) -> bool:
    """Whether a declaration that begins in this line ends in it, as far as VOLATILE ones go.

    ``declare -p`` quotes a newline as $'…\\n…', so that a value has one line, except where bash 5.1
    and older write it raw between double quotes.
    """
    return line.count(b'"') % 2 == 0


def normalise_build_info(directory: Path, epoch: int) -> None:
    """Make the files of a build-info directory independent of the moment of the build."""
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
