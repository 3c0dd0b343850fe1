"""podman(1) with ``--rootfs``: no image, no daemon, and a temporary store.

Needs crun, the runtime that works without control groups. Podman mounts its own /etc/hostname, and
drops `nodev` from the root as the runtimes do.
"""

from __future__ import annotations

import json
import os
import socket
import termios
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloche.engines.oci_config import SECCOMP
from cloche.sandbox import (
    inherited,
    spawning,
)
from cloche.sandbox.assembly import KEPT_STAGE, entered, step
from cloche.sandbox.base import Command, Nature
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.native import CAPABILITIES
from cloche.sandbox.proc import PROC_MASKED
from cloche.sandbox.reaping import end_all
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import (
    Supervisor,
    Words,
    cover,
    find_tool,
    is_ready,
    keep_cgroups,
    refuse_bytes,
    wrapped,
)
from cloche.sandbox.wire import Request

_ADDED = ("HOME", "HOSTNAME", "TERM", "PATH", "container", "NOTIFY_SOCKET")
_UNKNOWN = ("RLIMIT_AS",)  # to podman
_WAIT = """
i=0
while [ $i -lt 200 ] && [ "$(stty size 2>&-)" = "0 0" ]; do i=$((i + 1)); sleep 0.01; done
exec "$@"
"""
_STORE = KEPT_STAGE / "podman"
_PLACES = {"--root": "root", "--runroot": "runroot", "--tmpdir": "tmp"}
_FIXED = (
    *("run", "--quiet", "--rm", "--pull=never", "--cgroups=disabled", "--sdnotify=conmon"),
    *("--no-hosts", "--passwd=false", "--http-proxy=false", "--ipc=none", "--umask=0022"),
    *(f"--security-opt=seccomp={_STORE}/seccomp.json", "--security-opt=apparmor=unconfined"),
    *("--security-opt=label=disable", "--tmpfs=/sys:ro,mode=0555,size=4k"),
    f"--security-opt=mask={':'.join(f'/proc/{name}' for name in PROC_MASKED)}",
)


class Podman(Supervisor):
    """Sandboxes by podman, conmon and crun."""

    name = "podman"
    nature = Nature(
        "podman with crun",
        isolates=("files", "processes", "network", "IPC", "host name", "devices", "keyrings"),
    )
    places = ("/proc", "/sys")
    files = ("/etc/hostname", "/etc/mtab")

    def __init__(self) -> None:
        self._tool = find_tool("podman", "podman (app-containers/podman)")
        self._runtime = find_tool("crun", "crun (app-containers/crun)")

    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start podman, and wait until it says that the container runs."""
        refuse_bytes(request.command, self.name)
        keep_cgroups(hidden=True)
        for path in ("/run", "/dev/shm", "/var/lib/containers", "/var/tmp"):  # noqa: S108
            cover(path)
        passed: tuple[int, ...] = ()
        terminal: str | None = None
        if request.command.tty:
            with entered(root):  # the runtime mounts the terminal on it
                Path("/dev/console").touch()
                shell = os.access("/bin/sh", os.X_OK)
            master, slave = spawning.open_terminal(streams[1])
            if shell and termios.tcgetwinsize(slave) != (0, 0):
                request = replace(request, command=_sized(request.command))
            passed, terminal = (master,), os.ttyname(slave)
            streams = [slave, slave, slave, *streams[3:]]
        words = Words()
        given, command = wrapped(request, root, streams, words, _ADDED)
        path = f"{KEPT_STAGE}/notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            arguments = [*self._store(), *_arguments(request, root, given), *command.argv]
            with step("starting podman"):
                pid = spawning.spawn(
                    self._tool,
                    (self._tool, *arguments),
                    {**self._environment(), "NOTIFY_SOCKET": path},
                    given,
                    terminal=terminal,
                )
            if is_ready(notify, pid):
                return Started(pid, passed=passed)
        end_all()
        raise SandboxError("making a sandbox by podman", str(words) or "it failed silently")

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath + ":/usr/sbin:/sbin",
            "HOME": str(_STORE),
            "XDG_RUNTIME_DIR": str(_STORE),
            # An ordinary user is already in the user namespace.
            "_CONTAINERS_USERNS_CONFIGURED": "done",
            "_CONTAINERS_ROOTLESS_UID": "0",
        }

    def _store(self) -> list[str]:
        """Options that keep podman's state in the stage directory, which is removed at the end."""
        for name in _PLACES.values():
            (_STORE / name).mkdir(parents=True)
        (_STORE / "seccomp.json").write_text(json.dumps(SECCOMP))
        options = ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]
        options += [f"{option}={_STORE / name}" for option, name in _PLACES.items()]
        return [*options, f"--runtime={self._runtime}"]


def _sized(command: Command) -> Command:
    """Let a shell wait for the terminal's size, which podman sets after the command has started."""
    return replace(command, argv=("/bin/sh", "-c", _WAIT, "sh", *command.argv))


def _arguments(request: Request, root: Path, given: dict[int, int]) -> list[str]:
    sandbox, command = request.sandbox, request.command
    options = [*_FIXED, f"--hostname={sandbox.hostname}", f"--workdir={command.cwd}"]
    options += [f"--mount=type=bind,source={root}/dev,destination=/dev"]
    options += [
        "--network=host",
        "--dns=none",
    ]  # the supervisor's, which is the host's only if asked
    attached = any(os.isatty(given[number]) for number in (0, 1, 2))
    options += ["--interactive", "--log-driver=none"] if attached else ["--log-driver=passthrough"]
    options += ["--tty"] if command.tty else []
    options += [f"--preserve-fds={len(given) - 3}"] if len(given) > 3 else []
    options += ["--cap-drop=all", *(f"--cap-add={name}" for name in CAPABILITIES)]
    for name, (soft, hard) in inherited.possible(sandbox.limits).items():
        if name not in _UNKNOWN:
            options.append(f"--ulimit={name.removeprefix('RLIMIT_').lower()}={soft}:{hard}")
    options += [f"--env={name}={value}" for name, value in command.env.items()]
    return [*options, "--rootfs", str(root)]
