"""Plain chroot(2), as stages and packages are often built by hand: for comparison only.

It only changes the meaning of paths, and uid 0 can leave it; nothing else is isolated. The pid and
mount namespaces only serve to clean up.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from cloche.linux import mounts
from cloche.sandbox import (
    inherited,
    spawning,
)
from cloche.sandbox.assembly import Mount, common_mounts, step
from cloche.sandbox.base import Nature
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import Supervisor
from cloche.sandbox.wire import Request


class Chroot(Supervisor):
    """The composed root with the host's /dev and /sys in it, and all else of the host around."""

    name = "chroot"
    nature = Nature(
        "plain chroot",
        caution="chroot isolates nothing of the host, not even files, and is for comparison only",
    )
    places = ()

    def make_ready(self, *, network: bool) -> list[Mount]:
        """Reset inherited attributes, and nothing else."""
        del network
        with step("resetting inherited attributes"):
            inherited.reset()
        return common_mounts()

    def shown(self, common: list[Mount]) -> list[Mount]:
        """The host's /dev and /sys, and the /proc of the supervisor's processes."""
        shown = [mount for mount in common if not mount.target.startswith("/dev")]
        for path in ("/dev", "/sys"):
            with step(f"binding the host's {path}"):
                shown.append(Mount(path, mounts.open_tree(path, recursive=True), True))
        return shown

    def launch(self, request: Request, root: Path, streams: Sequence[int]) -> Started:
        """Enter the root, and start the command there."""
        command = request.command
        terminal: str | None = None
        passed: tuple[int, ...] = ()
        if command.tty:
            master, slave = spawning.open_terminal(streams[1])
            streams, passed = [slave, slave, slave, *streams[3:]], (master,)
            terminal = os.ttyname(slave)
        with step("entering the root"):
            os.chroot(root)
        with step("setting limits"):
            inherited.limit(request.sandbox.limits)
        pid = spawning.spawn_command(command, streams, request.fds, terminal=terminal)
        return Started(pid, passed=passed)
