"""Looking up names in trees that are not trusted: openat2(2)."""

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
    """Open a file, closed on exec, on no way through a link like /proc/self/exe.

    Such links lead to the file itself, round the root of whoever follows them. ELOOP says that
    there is one, or a circle.
    """
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_NO_MAGICLINKS)
    arguments = (AT_FDCWD, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    return syscall("openat2", *arguments, subject=os.fsdecode(path))
