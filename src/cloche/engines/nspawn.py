"""systemd-nspawn(1), without a running systemd: nothing is registered, and there is no unit.

It needs real root. It mounts /dev, /proc and /sys itself and leaves our /run and /tmp. Parts of the
host's /sys are visible, read-only, and it masks less of /proc than native: it has no options for
either.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

from cloche.sandbox import (
    inherited,
    spawning,
)
from cloche.sandbox.assembly import KEPT_STAGE, Mount, step
from cloche.sandbox.base import Nature
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.native import CAPABILITIES
from cloche.sandbox.reaping import end_all
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import Supervisor, Words, cover, find_tool, is_ready, wrapped
from cloche.sandbox.userns import is_real_root
from cloche.sandbox.wire import Request

# What nspawn leaves to a container (its manual); all but ours are dropped.
_LEFT = (
    *("AUDIT_CONTROL", "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER"),
    *("FSETID", "IPC_OWNER", "KILL", "LEASE", "LINUX_IMMUTABLE", "MKNOD", "NET_ADMIN"),
    *("NET_BIND_SERVICE", "NET_BROADCAST", "NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT", "SYS_NICE", "SYS_PTRACE", "SYS_RESOURCE"),
    "SYS_TTY_CONFIG",
)
# What it adds to the environment.
_ADDED = (
    *("container", "container_uuid", "container_host_id", "container_host_version_id"),
    *("container_host_build_id", "container_host_variant_id", "NOTIFY_SOCKET", "USER", "LOGNAME"),
    *("HOME", "TERM", "LANG", "PATH", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"),
)
_FIXED = (
    *("--quiet", "--register=no", "--keep-unit", "--settings=no"),
    *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
)
_ENVIRONMENT = {
    "PATH": os.defpath,
    "SYSTEMD_SECCOMP": "0",  # our own filter is installed, and is the only one
    "SYSTEMD_NSPAWN_TMPFS_TMP": "0",  # /tmp is ours
    "SYSTEMD_LOG_TARGET": "console",
}


class Nspawn(Supervisor):
    """Sandboxes by systemd-nspawn."""

    name = "nspawn"
    nature = Nature(
        "systemd-nspawn (root only)",
        # Not devices, as it shows /dev/net/tun; nor keyrings, as /proc/keys names what they hold.
        isolates=("files", "processes", "network", "IPC", "host name"),
    )
    makes_groups = True
    # It makes those that are missing, which must not count as written.
    places = ("/proc", "/sys", "/dev", "/run", "/root", "/var", "/usr", "/etc", "/tmp")  # noqa: S108

    def __init__(self) -> None:
        if not is_real_root():
            raise SandboxError("making the engine nspawn", "it needs real root", 0, "run as root")
        self._tool = find_tool("systemd-nspawn", "systemd-container (sys-apps/systemd)")

    def shown(self, common: list[Mount]) -> list[Mount]:
        """All but /dev and /proc, which nspawn mounts."""
        return [mount for mount in super().shown(common) if not mount.target.startswith("/dev")]

    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start nspawn, and wait until it says that the command is about to run."""
        cover("/run")  # it leaves directories there when it is killed
        passed: tuple[int, ...] = ()
        terminal: str | None = None
        if request.command.tty:
            master, slave = spawning.open_terminal(streams[1])
            passed, terminal = (master,), os.ttyname(slave)
            streams = [slave, slave, slave, *streams[3:]]
        words = Words()
        given, command = wrapped(request, root, streams, words, _ADDED)
        path = str(KEPT_STAGE / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            script = 'LISTEN_PID=$$ exec "$@"'
            arguments = [*_arguments(request, root), *command.argv]
            with step("starting systemd-nspawn"):
                pid = spawning.spawn(
                    "/bin/sh",
                    ("sh", "-c", script, "sh", self._tool, *arguments),
                    {**_ENVIRONMENT, "NOTIFY_SOCKET": path, "LISTEN_FDS": str(len(given) - 3)},
                    given,
                    terminal=terminal,
                )
            if is_ready(notify, pid):
                return Started(pid, passed=passed)
        end_all()
        said = str(words) or "it failed silently"
        raise SandboxError("making a sandbox by systemd-nspawn", said)


def _arguments(request: Request, root: Path) -> list[str]:
    sandbox, command = request.sandbox, request.command
    dropped = [f"CAP_{name}" for name in _LEFT if name not in CAPABILITIES]
    options = [*_FIXED, f"--directory={root}", f"--drop-capability={','.join(dropped)}"]
    options += [f"--hostname={sandbox.hostname}", f"--chdir={command.cwd}"]
    options += [f"--console={'interactive' if command.tty else 'pipe'}"]
    for name, limits in inherited.possible(sandbox.limits).items():
        soft, hard = ("infinity" if value == -1 else str(value) for value in limits)
        options.append(f"--rlimit={name}={soft}:{hard}")
    options += [f"--setenv={name}={value}" for name, value in command.env.items()]
    return [*options, "--"]
