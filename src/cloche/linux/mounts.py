"""The mount API: file-system contexts, detached mounts, attributes, mount(2), pivot_root.

Constants are those of linux/mount.h and sys/mount.h; see fsopen(2), open_tree(2), mount_setattr(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from pathlib import Path

from cloche.linux.calls import check, libc, number, syscall

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8

FSOPEN_CLOEXEC = 1
FSMOUNT_CLOEXEC = 1
FSCONFIG_SET_FLAG = 0
FSCONFIG_SET_STRING = 1
FSCONFIG_CMD_CREATE = 6
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 0x4


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


# Declared with types, which is faster: it is called for every layer.
_fsconfig = ctypes.CDLL(None, use_errno=True).syscall
_fsconfig.argtypes = (
    *(ctypes.c_long, ctypes.c_long, ctypes.c_long),
    *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long),
)
_FSCONFIG = number("fsconfig")


class Context:
    """A file-system context of fsopen(2): set options, then `mount` it, detached."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._fd = syscall("fsopen", kind.encode(), FSOPEN_CLOEXEC, subject=kind)

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def set(self, key: str, value: str | bytes | None = None, *, subject: str = "") -> None:
        """Set a string option, or a flag when there is no value. A string has at most 255 bytes.

        ``subject`` is what an error names instead of the value.
        """
        if value is None:
            command, raw = FSCONFIG_SET_FLAG, None
        else:
            command, raw = FSCONFIG_SET_STRING, os.fsencode(value)
        if _fsconfig(_FSCONFIG, self._fd, command, key.encode(), raw, 0) == -1:
            raise self._failure("fsconfig", ctypes.get_errno(), subject or f"{key}={value!s}")

    def add_lower(self, name: bytes, path: str | Path) -> None:
        """Add a lower directory, named ``path`` in errors: a faster `set`."""
        if _fsconfig(_FSCONFIG, self._fd, FSCONFIG_SET_STRING, b"lowerdir+", name, 0) == -1:
            raise self._failure("fsconfig", ctypes.get_errno(), str(path))

    def mount(self, attributes: int = 0) -> int:
        """Create the file system; return the descriptor of its detached mount."""
        self._explained("fsconfig", self._fd, FSCONFIG_CMD_CREATE, None, None, 0)
        return self._explained("fsmount", self._fd, FSMOUNT_CLOEXEC, attributes)

    def _explained(self, name: str, *args: object) -> int:
        """Make the call; on failure add what the kernel wrote into the context's log."""
        try:
            return syscall(name, *args)
        except OSError as error:
            raise self._failure(name, error.errno or 0, self._kind) from None

    def _failure(self, name: str, errno: int, subject: str) -> OSError:
        said = self._messages()
        text = f"{name}: {os.strerror(errno)}" + (f" ({said})" if said else "")
        return OSError(errno, text, subject)

    def _messages(self) -> str:
        lines = []
        with contextlib.suppress(OSError):
            while line := os.read(self._fd, 1024):
                lines.append(line.decode(errors="replace").strip())
        return "; ".join(lines)


def open_tree(path: str | Path, *, recursive: bool = False) -> int:
    """Clone the mount at ``path`` (a bind), detached; ``recursive``: with all mounts below it."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return syscall("open_tree", AT_FDCWD, os.fsencode(path), flags, subject=str(path))


def move_mount(mount: int, target: str | Path) -> None:
    """Attach a detached mount at ``target``."""
    syscall(
        "move_mount",
        mount,
        b"",
        AT_FDCWD,
        os.fsencode(target),
        MOVE_MOUNT_F_EMPTY_PATH,
        subject=str(target),
    )


def set_attributes(mount: int, attributes: int, *, recursive: bool = False) -> None:
    """Set ``MOUNT_ATTR_*`` on a mount given by descriptor; with ``recursive`` on all below it."""
    attr = _MountAttr(attr_set=attributes)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscall("mount_setattr", mount, b"", flags, ctypes.byref(attr), ctypes.sizeof(attr))


def make_private(path: str = "/") -> None:
    """Stop propagation of mounts below ``path`` into or out of this mount namespace."""
    mount(None, path, None, MS_REC | MS_PRIVATE)


def mount_points() -> list[bytes]:
    """Where something is mounted, as this process sees it (proc_pid_mountinfo(5))."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    escaped = (line.split(b" ", 5)[4] for line in lines)
    return [re.sub(rb"\\([0-7]{3})", _unescaped, path) for path in escaped]


def _unescaped(match: re.Match[bytes]) -> bytes:
    return bytes([int(match[1], 8)])


def mount(
    source: str | None, target: str, kind: str | None, flags: int, data: str | None = None
) -> None:
    """mount(2), for what the new calls cannot do, or not on every kernel."""
    result = libc.mount(
        source.encode() if source is not None else None,
        os.fsencode(target),
        kind.encode() if kind is not None else None,
        ctypes.c_ulong(flags),
        os.fsencode(data) if data is not None else None,
    )
    check(result, "mount", target)


def unmount(target: str | Path, *, detach: bool = False) -> None:
    """umount2(2); ``detach`` detaches the mount now, and ends it when it is no longer busy."""
    check(libc.umount2(os.fsencode(target), MNT_DETACH if detach else 0), "umount2", str(target))


def enter_root(mount_fd: int) -> None:
    """Make an attached mount the root, and unmount the old one: see pivot_root(2), NOTES."""
    os.fchdir(mount_fd)
    syscall("pivot_root", b".", b".")
    unmount(".", detach=True)
    os.chroot(".")
    os.chdir("/")
