"""Opens names in untrusted trees: openat2(2)."""

from __future__ import annotations

import ctypes
import os

from cloche.linux.calls import syscall
from cloche.linux.mounts import AT_FDCWD

_RESOLVE_NO_MAGICLINKS = 0x02


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
