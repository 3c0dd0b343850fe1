"""The supervisor: the first process of a sandbox that a tool makes (bubblewrap, podman, …).

It is pid 1 of a pid namespace around all that the tool starts, daemons too, so that nothing
outlives it. In its own mount namespace it composes the same root as the native engine, with the
same mounts, at a directory; the tool makes its own namespaces and enters that root. Whatever dies,
the kernel cleans up, and results are equal.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import socket
from abc import abstractmethod
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from cloche.linux import mounts, processes
from cloche.roots import overlay
from cloche.sandbox import (
    cgroups,
    inherited,
    spawning,
)
from cloche.sandbox.assembly import Mount, assemble_apart, common_mounts, entered, step
from cloche.sandbox.base import Command
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.native import forbid_shared, own_network
from cloche.sandbox.runtime import Runtime, Started
from cloche.sandbox.wire import Request

_WORDS = 4096  # bytes of what a tool said that go into an error: its end


class Supervisor(Runtime):
    """The base of all tools, which implement `launch`."""

    # What the tool mounts in the root by itself: directories, and files.
    places: tuple[str, ...] = ("/proc",)
    files: tuple[str, ...] = ()
    _tool: str = ""  # the program of the host's that is started, if any

    def make_ready(self, *, network: bool) -> list[Mount]:
        """Reset inherited attributes; the tool makes all namespaces but the network's.

        The tool and its command share the supervisor's network namespace: tools configure `lo`
        without the addresses of Portage's network-sandbox, and may not be allowed to add them.
        """
        with step("resetting inherited attributes"):
            inherited.reset()
        if not network:
            own_network()
        with step("setting the host name"):  # the tool's own namespace takes the domain over
            processes.unshare(processes.CLONE_NEWUTS)
            processes.set_names("cloche")
        forbid_shared()
        return common_mounts()

    def start(
        self, request: Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """Compose the root, check that the command can be started there, and start the tool."""
        cgroups.join(request.cgroups)
        with step("entering new namespaces"):
            processes.unshare(processes.CLONE_NEWNS)
            mounts.make_private()
        if common is None:  # mounting is not allowed in the host's mount namespace
            common = self.make_ready(network=request.sandbox.network)
        root = assemble_apart(request.sandbox, self.shown(common), self.places, self.files)
        with entered(root):
            spawning.check(request.command)
        if self._tool:
            _seal(self._tool)
        started = self.launch(request, root, streams)
        processes.hide_from_ptrace()
        return started

    def shown(self, common: list[Mount]) -> list[Mount]:
        """The common mounts that the root gets: all but /proc, which the supervisor keeps."""
        (proc,) = (mount for mount in common if mount.target == "/proc")
        with step("mounting /proc"):
            mounts.move_mount(proc.fd, "/proc")
            os.close(proc.fd)
        return [mount for mount in common if mount is not proc]

    @abstractmethod
    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start the command in ``root``. Raises SandboxError with the tool's message."""


def _seal(tool: str) -> None:
    """Execute the tool from a read-only mount that only this mount namespace has.

    A tool may stay in the sandbox as its first process, whose /proc/PID/exe leads to the program on
    its mount; on the host's mount, root inside could make it setuid.
    """
    place = os.path.realpath(tool)
    with step(f"making {place} read-only"):
        fd = mounts.open_tree(place)
        mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY)
        mounts.move_mount(fd, place)
        os.close(fd)


def find_tool(name: str, package: str) -> str:
    """Return the path of a host's program. Raises SandboxError that names its package."""
    if (path := shutil.which(name)) is None:
        raise SandboxError(f"looking for {name}", "it is not installed", 0, f"install {package}")
    return path


def open_terminal(root: Path, like: int) -> tuple[int, int, str]:
    """Open a terminal in the root's own /dev/pts; return master, slave, and the slave's path."""
    with step("opening a terminal"), entered(root):
        master, slave = spawning.open_terminal(like)
        number = os.minor(os.fstat(slave).st_rdev)
    return master, slave, f"{root}/dev/pts/{number}"


def keep_cgroups(*, hidden: bool) -> None:
    """Keep a tool from making control groups, which it would leave behind when killed.

    The supervisor has already joined the group for the sandbox's limits. Groups become read-only,
    or ``hidden`` from tools that fail when they see them.
    """
    path = Path("/sys/fs/cgroup")
    if not path.is_dir():
        return
    with step("protecting control groups"):
        if hidden:
            mounts.move_mount(fd := overlay.tmpfs("0555"), path)
        else:
            fd = os.open(path, os.O_PATH)
            mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY, recursive=True)
        os.close(fd)


def refuse_bytes(command: Command, name: str) -> None:
    """Raise SandboxError for a command that is not UTF-8, as the tool reads JSON."""
    words = (*command.argv, *command.env, *command.env.values(), command.cwd)
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            said = f"{word!r} is not UTF-8, which {name} requires"
            raise SandboxError("making a sandbox", said, 0, "use another engine") from error


def filled(numbers: Sequence[int], streams: Sequence[int]) -> dict[int, int]:
    """The command's descriptors without holes, for tools that pass on the first N.

    Holes get standard input once more; `close_holes` closes those below 10.
    """
    given = dict(zip((0, 1, 2, *numbers), streams, strict=False))
    return {number: given.get(number, given[0]) for number in range(max(given) + 1)}


def close_holes(command: Command, numbers: Sequence[int]) -> Command:
    """Let a shell in the root close what `filled` added, before it executes the command."""
    holes = _holes(range(3, max((2, *numbers))), numbers)
    return _by_shell(command, "".join(f"exec {number}<&-; " for number in holes))


def _holes(given: Iterable[int], wanted: Container[int]) -> list[int]:
    """What a shell has to close; some, such as dash, only know numbers of one digit."""
    return [number for number in given if 2 < number < 10 and number not in wanted]


def wrapped(
    request: Request, root: Path, streams: Sequence[int], words: Words, unset: Sequence[str]
) -> tuple[dict[int, int], Command]:
    """Let a tool write its messages to ``words`` while the command has its own standard error.

    The latter is passed as an extra descriptor, which a shell in the root moves to its place before
    it executes the command. The shell also closes the holes and unsets variables that the tool
    adds. In a root without a shell both share standard error, and the variables stay. The shell
    waits for the command, so that its status for a signal is 128 and the number.
    """
    command = request.command
    # The lowest free number: some shells only know numbers of one digit.
    own = next(number for number in range(3, 1024) if number not in request.fds)
    with entered(root):
        if not os.access("/bin/sh", os.X_OK):
            return filled(request.fds, streams), command
    given = filled((*request.fds, own), [*streams, streams[2]]) | {2: words.fd}
    holes = _holes(given, (*request.fds, own))
    names = [name for name in unset if name not in command.env]
    script = f"unset {' '.join(names)}; exec 2>&{own} {own}<&-; "
    script += "".join(f"exec {number}<&-; " for number in holes)
    return given, _by_shell(command, script, 'trap : HUP INT QUIT TERM; "$@"; exit $?')


def _by_shell(command: Command, script: str, last: str = 'exec "$@"') -> Command:
    if not script:
        return command
    return replace(command, argv=("/bin/sh", "-c", script + last, "sh", *command.argv))


def is_ready(notify: socket.socket, pid: int) -> bool:
    """Wait for READY=1 (sd_notify(3)); False if the process ends first."""
    ended = os.pidfd_open(pid)
    try:
        while True:
            ready, _, _ = select.select([notify.fileno(), ended], [], [])
            if notify.fileno() in ready and b"READY=1" in notify.recv(4096).split(b"\n"):
                return True
            if ready == [ended]:
                return False
    finally:
        os.close(ended)


def cover(path: str) -> None:
    """Hide a directory of the host from a tool that would leave files there."""
    if Path(path).is_dir():
        with step(f"covering {path}"):
            mounts.move_mount(fd := overlay.tmpfs("0755"), path)
            os.close(fd)


class Words:
    """An unnamed file for a tool's messages."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("cloche-words")

    def __str__(self) -> str:
        size = os.lseek(self.fd, 0, os.SEEK_END)
        text = os.pread(self.fd, _WORDS, max(0, size - _WORDS)).decode(errors="replace")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())

    def close(self) -> None:
        """Close it."""
        with contextlib.suppress(OSError):
            os.close(self.fd)
