"""bubblewrap: bwrap(1). It enters the root that the supervisor composed, and makes the namespaces.

bwrap sets NO_NEW_PRIVS and mounts everything nosuid: setuid programs do not work inside.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from pathlib import Path

from cloche.linux import seccomp
from cloche.sandbox import (
    inherited,
    spawning,
)
from cloche.sandbox.assembly import step
from cloche.sandbox.base import Nature
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.native import CAPABILITIES
from cloche.sandbox.proc import PROC_MASKED, PROC_READ_ONLY
from cloche.sandbox.reaping import end_all
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import Supervisor, Words, find_tool, open_terminal
from cloche.sandbox.wire import Request

_PATIENCE = 5  # seconds for a second try of what failed at once


class Bwrap(Supervisor):
    """Sandboxes by bubblewrap."""

    name = "bwrap"
    nature = Nature(
        "bubblewrap",
        isolates=("files", "processes", "network", "IPC", "host name", "devices", "keyrings"),
    )

    def __init__(self) -> None:
        self._tool = find_tool("bwrap", "bubblewrap (sys-apps/bubblewrap)")

    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start bwrap, and wait until it is about to execute the command."""
        fds = dict(zip((0, 1, 2, *request.fds), streams, strict=True))
        terminal: str | None = None
        passed: tuple[int, ...] = ()
        if request.command.tty:
            master, slave, terminal = open_terminal(root, streams[1])
            passed = (master,)
            fds |= {0: slave, 1: slave, 2: slave}
        with step("setting limits"):
            inherited.limit(request.sandbox.limits)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        ours.send(b"1")
        with ours:
            pid = self._spawn(request, root, fds, theirs, terminal)
            if _was_read(ours):
                return Started(pid, passed=passed)
        end_all()
        raise self._failure(request, root)

    def _spawn(
        self,
        request: Request,
        root: Path,
        fds: dict[int, int],
        block: socket.socket,
        terminal: str | None,
    ) -> int:
        """Start bwrap, which reads from ``block`` when all is made, just before the command."""
        raw = b"\0".join(map(os.fsencode, _arguments(request, root)))
        own = [_file(raw + b"\0"), block.fileno(), _file(seccomp.limits_filter())]
        numbered = dict(enumerate(own, max(fds) + 1))
        options = ("--args", "--block-fd", "--seccomp")
        words = [self._tool]
        for option, number in zip(options, numbered, strict=True):
            words += [option, f"{number}"]
        with block, step("starting bwrap"):
            return spawning.spawn(
                self._tool,
                (*words, "--", *request.command.argv),
                {},
                fds | numbered,
                terminal=terminal,
            )

    def _failure(self, request: Request, root: Path) -> SandboxError:
        """Try again to get bwrap's message, which otherwise goes to the command's output."""
        null, words = os.open(os.devnull, os.O_RDWR), Words()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with ours:  # nothing is sent: the command is never executed
            self._spawn(request, root, {0: null, 1: null, 2: words.fd}, theirs, None)
            ours.settimeout(_PATIENCE)
            with contextlib.suppress(TimeoutError):  # now it would have worked
                ours.recv(1)
        end_all()
        return SandboxError("making a sandbox by bwrap", str(words) or "it failed silently")


def _file(content: bytes) -> int:
    fd = os.memfd_create("cloche-bwrap")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _was_read(sock: socket.socket) -> bool:
    """Wait until the other end is closed; say whether our byte was read from it.

    A unix socket that is closed with something unread in it is reset for its peer: unix(7).
    """
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return False


def _arguments(request: Request, root: Path) -> list[str]:
    sandbox, command = request.sandbox, request.command
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    options += ["--hostname", sandbox.hostname, "--clearenv"]
    for name, value in command.env.items():
        options += ["--setenv", name, value]
    options += ["--cap-drop", "ALL"]
    for name in CAPABILITIES:
        options += ["--cap-add", f"CAP_{name}"]
    # With devices: other binds have none, and /dev is ours.
    options += ["--dev-bind", str(root), "/", "--proc", "/proc"]
    for name in PROC_READ_ONLY:
        options += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    for path in (Path("/proc", name) for name in PROC_MASKED):
        if path.is_dir():
            options += ["--tmpfs", str(path), "--remount-ro", str(path)]
        elif path.exists():
            options += ["--dev-bind", "/dev/null", str(path)]
    return [*options, "--chdir", command.cwd]
