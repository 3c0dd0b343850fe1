"""Calls libc and bare system calls, and turns errno into OSError."""

from __future__ import annotations

import ctypes
import errno
import os

libc = ctypes.CDLL(None, use_errno=True)

# Calls that libc may lack. Those above 424 have one number on every architecture.
_MACHINE_NUMBERS = {
    "x86_64": {
        **{"clone": 56, "pivot_root": 155, "add_key": 248, "keyctl": 250, "seccomp": 317},
        **{"mq_open": 240, "mq_unlink": 241, "finit_module": 313, "renameat2": 316},
    },
    "aarch64": {
        **{"clone": 220, "pivot_root": 41, "add_key": 217, "keyctl": 219, "seccomp": 277},
        **{"mq_open": 180, "mq_unlink": 181, "finit_module": 273, "renameat2": 276},
    },
}
_COMMON_NUMBERS = {
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
}


def number(name: str) -> int:
    """Return the number of a system call here; ENOSYS on an unknown architecture."""
    if name in _COMMON_NUMBERS:
        return _COMMON_NUMBERS[name]
    machine = os.uname().machine
    try:
        return _MACHINE_NUMBERS[machine][name]
    except KeyError:
        raise OSError(errno.ENOSYS, f"system call {name} is not known on {machine}") from None


def check(result: int, name: str, subject: str | None = None) -> int:
    """Return ``result``, or raise OSError with the call's name in the message if it is -1."""
    if result == -1:
        number_ = ctypes.get_errno()
        raise OSError(number_, f"{name}: {os.strerror(number_)}", subject)
    return result


def syscall(name: str, *args: object, subject: str | None = None) -> int:
    """Make a system call by name. Integers are passed as long, strings and paths encoded."""
    plain = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return check(libc.syscall(ctypes.c_long(number(name)), *plain), name, subject)
