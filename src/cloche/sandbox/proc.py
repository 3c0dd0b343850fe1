"""/proc of a sandbox: host-wide settings are read-only, and secrets are hidden."""

from __future__ import annotations

import os
from pathlib import Path

from cloche.linux import mounts
from cloche.roots import overlay

PROC_READ_ONLY = ("sys", "sysrq-trigger", "irq", "bus", "fs", "driver")
# What is secret, and what tells one host's kernel and its arguments from another's.
PROC_MASKED = (
    *("kcore", "keys", "key-users", "timer_list", "sched_debug", "kmsg", "acpi", "scsi", "asound"),
    *("cmdline", "config.gz", "kallsyms", "modules", "latency_stats"),
)


def mount() -> int:
    """A detached mount of the PID namespace's /proc. Raises OSError."""
    flags = mounts.MOUNT_ATTR_NOSUID | mounts.MOUNT_ATTR_NODEV | mounts.MOUNT_ATTR_NOEXEC
    with mounts.Context("proc") as context:
        return context.mount(flags)


def restrict() -> None:
    """Make host-wide settings read-only, and hide secrets. Raises OSError."""
    for name in PROC_READ_ONLY:
        _cover(f"/proc/{name}", f"/proc/{name}")
    for name in PROC_MASKED:
        path = f"/proc/{name}"
        if Path(path).is_dir():
            _cover_directory(path)
        else:
            _cover("/dev/null", path)


def _cover(source: str, target: str) -> None:
    if not Path(target).exists():
        return
    fd = mounts.open_tree(source)
    if source != "/dev/null":
        mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY)
    mounts.move_mount(fd, target)
    os.close(fd)


def _cover_directory(target: str) -> None:
    fd = overlay.tmpfs("0555", nr_inodes="1")
    mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY)
    mounts.move_mount(fd, target)
    os.close(fd)
