"""The keeper: the first process of a foreign engine's sandbox, in which a tool makes the rest.

It is to the tool what native's first process is to a command: pid 1 of a pid namespace around all
that the tool starts, daemons too, so that nothing outlives it. In a mount namespace of its own it
composes the same root as native, with the same mounts, at a directory; the tool makes namespaces
of its own and enters that. Whatever dies, the kernel removes all of it, and results are equal.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cloche.engines import cgroups, inherited, spawning
from cloche.engines.assembly import Mount, assemble_apart, common_mounts, entered, step
from cloche.engines.base import Command
from cloche.engines.errors import SandboxError
from cloche.engines.native import forbid_shared
from cloche.engines.way import Started, Way
from cloche.engines.wire import Request
from cloche.layers import overlay
from cloche.linux import mounts, processes

_WORDS = 4096  # bytes of what a tool said that go into an error: its end


class Keeper(Way):
    """What all tools have in common. A tool has `launch`."""

    places: tuple[str, ...] = ("/proc",)  # what the tool mounts in the root by itself

    def make_ready(self, *, network: bool) -> list[Mount]:
        """Leave what the host has set; the namespaces are for the tool to make."""
        del network
        with step("leaving what the host has set"):
            inherited.reset()
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
        root = assemble_apart(request.sandbox, self.shown(common), *self.places)
        with entered(root):
            spawning.check(request.command)
        started = self.launch(request, root, streams)
        processes.hide_from_ptrace()
        return started

    def shown(self, common: list[Mount]) -> list[Mount]:
        """What of the common mounts the root gets: all but /proc, which becomes the keeper's."""
        (proc,) = (mount for mount in common if mount.target == "/proc")
        with step("mounting /proc"):
            mounts.move_mount(proc.fd, "/proc")
            os.close(proc.fd)
        return [mount for mount in common if mount is not proc]

    @abstractmethod
    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Start the command in ``root`` by the tool. Raises SandboxError with the tool's words."""


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

    The limits that need a group are in one that the keeper has joined already. Groups become
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


def filled(numbers: Sequence[int], streams: Sequence[int]) -> dict[int, int]:
    """The command's descriptors without holes, for tools that pass on the first so many.

    Holes get standard input once more; `close_holes` closes them.
    """
    given = dict(zip((0, 1, 2, *numbers), streams, strict=False))
    return {number: given.get(number, given[0]) for number in range(max(given) + 1)}


def close_holes(command: Command, numbers: Sequence[int]) -> Command:
    """Let a shell of the root close, before the command, what `filled` has added."""
    holes = [number for number in range(3, max((2, *numbers))) if number not in numbers]
    if not holes:
        return command
    script = "".join(f"exec {number}<&-; " for number in holes) + 'exec "$@"'
    return replace(command, argv=("/bin/sh", "-c", script, "sh", *command.argv))


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
