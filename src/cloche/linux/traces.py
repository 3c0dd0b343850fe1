"""Shared memory, message queues and keys, which other processes of a namespace or user can find.

For probing what sandboxes see; each has a name by which it can be removed.
"""

from __future__ import annotations

import ctypes
import os

from cloche.linux.calls import check, libc, syscall

SESSION_KEYRING = -3
USER_KEYRING = -4

_IPC_CREAT, _IPC_EXCL, _IPC_RMID = 0o1000, 0o2000, 0
_KEYCTL_LINK, _KEYCTL_UNLINK, _KEYCTL_SET_TIMEOUT = 8, 9, 15


def can_read_kernel_log() -> bool:
    """Whether this process may, see syslog(2), and there is something in it."""
    return bool(libc.klogctl(3, ctypes.create_string_buffer(100), 100) > 0)


def new_segment(key: int) -> int:
    """Make a segment of shared memory of one page under a key; its id. See shmget(2)."""
    flags = _IPC_CREAT | _IPC_EXCL | 0o666
    return check(libc.shmget(ctypes.c_int(key), ctypes.c_size_t(4096), flags), "shmget")


def remove_segment(ident: int) -> None:
    """Remove a segment of shared memory."""
    check(libc.shmctl(ctypes.c_int(ident), _IPC_RMID, None), "shmctl")


def new_queue(name: str) -> None:
    """Make a POSIX message queue; ``name`` has no slash. See mq_overview(7)."""
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    os.close(syscall("mq_open", name.encode(), flags, 0o666, None, subject=name))


def remove_queue(name: str) -> None:
    """Remove a POSIX message queue."""
    syscall("mq_unlink", name.encode(), subject=name)


def add_key(name: str, ring: int, seconds: int) -> int:
    """Put a key of type ``user`` into a keyring for so many seconds; its id. See add_key(2)."""
    ident = syscall("add_key", b"user", name.encode(), b"x", 1, ring, subject=name)
    try:
        syscall("keyctl", _KEYCTL_SET_TIMEOUT, ident, seconds)
    except OSError:
        remove_key(ident, ring)
        raise
    return ident


def link_keyring(ident: int, ring: int) -> None:
    """Link a key or keyring into a keyring, whose possessor then possesses it, too."""
    syscall("keyctl", _KEYCTL_LINK, ident, ring)


def remove_key(ident: int, ring: int) -> None:
    """Take a key out of a keyring."""
    syscall("keyctl", _KEYCTL_UNLINK, ident, ring)
