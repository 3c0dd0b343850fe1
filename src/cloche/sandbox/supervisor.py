"""The supervisor: the first process of a foreign engine's sandbox, in which a tool makes the rest.

It is to the tool what native's first process is to a command: pid 1 of a pid namespace around all
that the tool starts, daemons too, so that nothing outlives it. In a mount namespace of its own it
composes the same root as native, with the same mounts, at a directory; the tool makes namespaces
of its own and enters that. Whatever dies, the kernel removes all of it, and results are equal.
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
    """What all tools have in common. A tool has `launch`."""

    # What the tool mounts in the root by itself: directories, and files.
    places: tuple[str, ...] = ("/proc",)
    files: tuple[str, ...] = ()
    _tool: str = ""  # the program of the host's that is started, if any

    def make_ready(self, *, network: bool) -> list[Mount]:
        """Leave what the host has set; all namespaces but the network's are for the tool to make.

        The tool and its command stay in the supervisor's network: the tools set up `lo` with its
        own addresses alone, and here are the rights to give it those of Portage's network-sandbox.
        """
        with step("leaving what the host has set"):
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
        """Compose the root, look whether the command can be started there, and start the tool."""
        cgroups.join(request.cgroups)
        with step("entering new namespaces"):
            processes.unshare(processes.CLONE_NEWNS)
            mounts.make_private()
        if common is None:  # where the host's mount namespace is not ours to mount in
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
        """What of the common mounts the root gets: all but /proc, which the supervisor keeps."""
        (proc,) = (mount for mount in common if mount.target == "/proc")
        with step("mounting /proc"):
            mounts.move_mount(proc.fd, "/proc")
            os.close(proc.fd)
        return [mount for mount in common if mount is not proc]

    @abstractmethod
    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start the command in ``root`` by the tool. Raises SandboxError with the tool's words."""


def _seal(tool: str) -> None:
    """Let the tool be executed from a read-only mount: of this process's mount namespace alone.

    A tool may stay in the sandbox as its first process, whose /proc/PID/exe leads to the program on
    that mount; on the host's own one root in there could make it setuid.
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
    """Let a tool make no control groups, which it would leave behind when it is killed.

    The limits that need a group are in one that the supervisor has joined already. Groups become
    read-only, or ``hidden`` for tools that take offence at what they find.
    """
    path = Path("/sys/fs/cgroup")
    if not path.is_dir():
        return
    with step("keeping control groups"):
        if hidden:
            mounts.move_mount(fd := overlay.tmpfs("0555"), path)
        else:
            fd = os.open(path, os.O_PATH)
            mounts.set_attributes(fd, mounts.MOUNT_ATTR_RDONLY, recursive=True)
        os.close(fd)


def refuse_bytes(command: Command, name: str) -> None:
    """Raise SandboxError for a command that JSON, which this tool takes, cannot hold as it is."""
    words = (*command.argv, *command.env, *command.env.values(), command.cwd)
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError as error:
            said = f"{word!r} is not UTF-8, and {name} takes nothing else"
            raise SandboxError("making a sandbox", said, 0, "use another engine") from error


def filled(numbers: Sequence[int], streams: Sequence[int]) -> dict[int, int]:
    """The command's descriptors without holes, for tools that pass on the first so many.

    Holes get standard input once more; `close_holes` closes those below 10.
    """
    given = dict(zip((0, 1, 2, *numbers), streams, strict=False))
    return {number: given.get(number, given[0]) for number in range(max(given) + 1)}


def close_holes(command: Command, numbers: Sequence[int]) -> Command:
    """Let a shell of the root close, before the command, what `filled` has added."""
    holes = _holes(range(3, max((2, *numbers))), numbers)
    return _by_shell(command, "".join(f"exec {number}<&-; " for number in holes))


def _holes(given: Iterable[int], wanted: Container[int]) -> list[int]:
    """What a shell has to close: some, dash for one, know numbers of one digit only."""
    return [number for number in given if 2 < number < 10 and number not in wanted]


def wrapped(
    request: Request, root: Path, streams: Sequence[int], words: Words, unset: Sequence[str]
) -> tuple[dict[int, int], Command]:
    """Let a tool write its own messages to ``words`` while the command has its standard error.

    That goes in as one more descriptor, which a shell of the root moves to its place before it
    executes the command. It closes the holes, and unsets variables that the tool has added. In a
    root without a shell, both share standard error, and those variables stay. The shell waits for
    the command, so that its status tells of signals as shells do: 128 and the number.
    """
    command = request.command
    # The lowest that is free: some shells know numbers of one digit only.
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
    """Wait for READY=1 (sd_notify(3)); False when the process has ended before."""
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
    """Hide a directory of the host from a tool that would leave something there."""
    if Path(path).is_dir():
        with step(f"covering {path}"):
            mounts.move_mount(fd := overlay.tmpfs("0755"), path)
            os.close(fd)


class Words:
    """A file without a name that a tool writes its messages to."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("cloche-words")

    def __str__(self) -> str:
        size = os.lseek(self.fd, 0, os.SEEK_END)
        text = os.pread(self.fd, _WORDS, max(0, size - _WORDS)).decode(errors="replace")
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())

    def close(self) -> None:
        """Give it up."""
        with contextlib.suppress(OSError):
            os.close(self.fd)
