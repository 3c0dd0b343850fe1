"""The native engine: cloche's own namespaces, overlays and launcher."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from cloche.linux import processes, seccomp
from cloche.linux.network import loopback_up
from cloche.sandbox import (
    cgroups,
    emulation,
    inherited,
    spawning,
    wire,
)
from cloche.sandbox.assembly import Mount, assemble, ready_mounts, step
from cloche.sandbox.base import Nature
from cloche.sandbox.launcher import fork_launcher
from cloche.sandbox.local import LocalEngine
from cloche.sandbox.runtime import Runtime, Started

# What Portage's phases and merges need. Not MKNOD: devices cannot be made in a user namespace, and
# root's results must not differ from an ordinary user's. Not DAC_READ_SEARCH: with it real root
# opens files of the host by handle. Not SYS_ADMIN: no mounts, no namespaces.
CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "SETFCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "AUDIT_WRITE",
)
KEPT = tuple(processes.CAPABILITIES[name] for name in CAPABILITIES)


class Native(Runtime):
    """Namespaces, mounts and limits made by cloche itself."""

    name = "native"
    nature = Nature(
        "cloche's own namespaces and overlays",
        isolates=("files", "processes", "network", "IPC", "host name", "devices", "keyrings"),
        emulates=True,
    )

    def __init__(self, composed: Path | None = None) -> None:
        """With ``composed`` all sandboxes use that root, which the caller has made."""
        self._composed = composed

    def make_ready(self, *, network: bool) -> list[Mount]:
        """Enter the namespaces that do not depend on the request, and make the common mounts."""
        with step("resetting inherited attributes"):
            inherited.reset()
        with step("entering new namespaces"):
            processes.unshare(processes.CLONE_NEWIPC)
        if not network:
            own_network()
        with contextlib.suppress(OSError):  # kernels without keyrings
            processes.new_session_keyring()
        with step("bounding capabilities"):
            processes.bound_capabilities(KEPT)
        return ready_mounts()

    def start(
        self, request: wire.Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """Become the first process of the requested sandbox, and start its command."""
        if common is None:
            _separate()  # mounting is not allowed in the host's mount namespace
            common = self.make_ready(network=request.sandbox.network)
        enter_sandbox(request, common, self._composed)
        command = request.command
        if not command.tty:
            return Started(spawning.spawn_command(command, streams, request.fds))
        master, slave = spawning.open_terminal(streams[1])
        pid = spawning.spawn_command(
            command, [slave] * 3 + [*streams[3:]], request.fds, terminal=os.ttyname(slave)
        )
        return Started(pid, passed=(master,))


class NativeEngine(LocalEngine):
    """Sandboxes by cloche's own namespaces; the default."""

    def __init__(self) -> None:
        super().__init__(Native.name, Native.nature, fork_launcher(Native()))


def own_network() -> None:
    """Enter a network namespace with only a loopback device, which is configured."""
    with step("entering a new network namespace"):
        processes.unshare(processes.CLONE_NEWNET)
    with step("switching on the loopback device"):
        loopback_up()


def forbid_shared() -> None:
    """Drop access to what no namespace isolates; does nothing on kernels without seccomp."""
    with contextlib.suppress(OSError):
        processes.new_session_keyring()
        seccomp.forbid_shared()


def enter_sandbox(
    request: wire.Request,
    common: list[Mount],
    composed: Path | None = None,
) -> None:
    """Make this process the first one of the requested sandbox: root, limits, capabilities."""
    cgroups.join(request.cgroups)
    _separate()
    with step("setting the host name"):
        processes.set_names(request.sandbox.hostname)
    assemble(request.sandbox, common, composed)
    if emulators := request.sandbox.emulators:
        names = " and ".join(each.program.name for each in emulators)
        with step(f"registering {names} in binfmt_misc"):
            emulation.register(emulators)
            processes.bound_capabilities(KEPT)  # the new user namespace has given all back
    with step("setting limits"):
        inherited.limit(request.sandbox.limits)
    with contextlib.suppress(OSError):  # kernels without seccomp
        seccomp.forbid_ways_to_host()
    with step("dropping capabilities"):
        processes.keep_only_capabilities(KEPT)
        processes.hide_from_ptrace()


def _separate() -> None:
    with step("entering new namespaces"):
        processes.unshare(
            processes.CLONE_NEWNS | processes.CLONE_NEWUTS | processes.CLONE_NEWCGROUP
        )
