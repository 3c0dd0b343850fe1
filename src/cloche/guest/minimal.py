"""Leaves out of a root what nothing that runs in it reads.

The root is this process's own. What goes depends on what is there: package managers need their
records, compilers need headers, shells the settings of env.d. Packages' binary packages keep all of
it.
"""

# Names with wildcards are text.
# ruff: noqa: PTH106, PTH108, PTH112, PTH114, PTH118, PTH120, PTH207, PTH208

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Callable, Iterator

LIBRARIES = "/usr/{lib,lib32,lib64,lib/*-linux-*}"
PORTAGE = ("/usr/bin/emerge", "/usr/lib/python-exec/*/emerge")
COMPILERS = ("/usr/bin/*cc", "/usr/bin/*clang", "/usr/bin/ld", "/usr/bin/pkg*conf*")
SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
#: What goes, as patterns of a shell, unless one of the others is there.
RULES = (
    # Portage's records, and what env-update(1) reads.
    (("/var/db/pkg", "/var/lib/portage", "/var/cache/edb", "/etc/env.d"), PORTAGE),
    # What env-update(1) writes for login shells, csh, systemd and the loader of glibc.
    (("/etc/profile.env",), ("/etc/profile", "/etc/zsh/zprofile")),
    (("/etc/csh.env",), ("/etc/csh.login", "/etc/csh.cshrc")),
    (("/etc/environment.d/10-gentoo-env.conf", "/etc/machine-id"), SYSTEMD),
    (("/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/ld.so.cache"), ("/lib*/ld-linux*",)),
    # Of shadow, the copies before its last change.
    (("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-"), ()),
    # What programs are made with.
    (("/usr/include", f"{LIBRARIES}/*.a", f"{LIBRARIES}/*.la", f"{LIBRARIES}/*crt*.o",
      f"{LIBRARIES}/pkgconfig", f"{LIBRARIES}/cmake", "/usr/share/pkgconfig",
      "/usr/share/aclocal"), COMPILERS),
    # What people read.
    (("/usr/share/doc", "/usr/share/gtk-doc"), ()),
    (("/usr/share/man",), ("/usr/bin/man",)),
    (("/usr/share/info",), ("/usr/bin/info",)),
)  # fmt: skip
KERNELS = ("/dev", "/proc", "/sys", "/run")


def minimal(words: list[str]) -> None:
    """Remove what `RULES` say, the marks by which Portage keeps empty directories, and then the
    directories that this has emptied.
    """
    for path in superfluous():
        remove(path)
        _remove_empty(os.path.dirname(path))
    if not found(PORTAGE):
        for mark in sorted(marks()):
            os.unlink(mark)


def superfluous() -> list[str]:
    """What is there and goes, by `RULES`; judged before anything is removed."""
    return [path for paths, unless in RULES if not found(unless) for path in found(paths)]


def found(patterns: tuple[str, ...]) -> list[str]:
    """What is there of these patterns; {a,b} stands for either word."""
    plain = (each for pattern in patterns for each in expanded(pattern))
    return [path for each in plain for path in sorted(glob.glob(each))]


def expanded(pattern: str) -> list[str]:
    """The patterns that one with braces stands for."""
    before, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    words, _, after = rest.partition("}")
    return [f"{before}{word}{after}" for word in words.split(",")]


def marks() -> Iterator[str]:
    """The ``.keep_CATEGORY_PN-SLOT`` of keepdir (PMS, ebuild-specific commands)."""
    for directory, names, files in os.walk("/"):
        if directory == "/":
            names[:] = [name for name in names if f"/{name}" not in KERNELS]
        yield from (os.path.join(directory, name) for name in files if name.startswith(".keep_"))
    for place in KERNELS:
        yield from glob.glob(f"{place}/.keep_*")


def remove(path: str) -> None:
    """Remove a file or a directory; one that is a link remains where it leads to."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):  # not below one of the others
        os.unlink(path)


def _remove_empty(directory: str) -> None:
    """Remove a directory and those above it that hold nothing, but for those of /var.

    There are mount points of sandboxes, which a removed directory would hide.
    """
    while directory != "/" and os.path.dirname(directory) != "/var" and not os.listdir(directory):
        os.rmdir(directory)
        directory = os.path.dirname(directory)


STEPS: dict[str, Callable[[list[str]], None]] = {"minimal": minimal}
