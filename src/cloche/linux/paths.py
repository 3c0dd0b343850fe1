"""Opens files without following magic links; makes directories that inherit nothing."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from cloche.linux.calls import syscall
from cloche.linux.mounts import AT_FDCWD

_RESOLVE_NO_MAGICLINKS = 0x02  # openat2(2)
_RENAME_EXCHANGE = 0x02  # renameat2(2)
_ACLS = ("system.posix_acl_access", "system.posix_acl_default")


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


def open_plain(path: str | bytes, flags: int) -> int:
    """Open a file, closed on exec, but not through a magic link such as /proc/self/exe.

    Magic links lead to the file itself, past the root of the process. ELOOP means that there is
    one, or a loop.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_NO_MAGICLINKS)
    arguments = (AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    return syscall("openat2", *arguments, subject=os.fsdecode(path))


def make_plain(directory: Path, mode: int = 0o755) -> None:
    """Remove from an empty directory what it inherits from its parent, and set its mode.

    A default ACL and a setgid bit are inherited by everything below (acl(5), inode(7)): if a store
    has them, they would change the layers that are made in it. A directory of another user is not
    changed.
    """
    with suppress(PermissionError):
        for name in _ACLS:
            if name in os.listxattr(directory):
                os.removexattr(directory, name)
        os.chown(directory, os.geteuid(), os.getegid())
        directory.chmod(mode)


def exchange(one: Path, other: Path) -> None:
    """Let two names of one file system change places at once (renameat2(2)). Raises OSError."""
    arguments = (AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    syscall("renameat2", *arguments, subject=str(other))
