"""QEMU: a virtual machine for each sandbox, with a kernel of its own.

The supervisor composes the root as for every tool; virtiofsd shares it with the machine, in which
cloche's own code (`vm.agent`) makes the sandbox as native does on a host. The command writes to the
same overlay, so results are equal.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cloche.sandbox import (
    reaping,
    wire,
)
from cloche.sandbox.assembly import Mount
from cloche.sandbox.base import Nature, Sandbox
from cloche.sandbox.errors import SandboxError, reported
from cloche.sandbox.runtime import Started
from cloche.sandbox.supervisor import Supervisor, find_tool
from cloche.vm import (
    kernel,
    machine,
    wiring,
)
from cloche.vm.ports import CommandPorts
from cloche.vm.session import Session

_QEMU = "qemu-system-x86_64"
_BOOT = 240  # seconds until the agent must report; four are usual without KVM
_GRACE = 60  # seconds for a machine to report that the time limit has passed
_DRAIN = 60  # seconds for output that is still on its way when the command has ended
_HELD = {"/dev", "/dev/shm", "/tmp", "/run"}  # noqa: S108 - for the mount points of binds


class Qemu(Supervisor):
    """Sandboxes in virtual machines by QEMU."""

    name = "qemu"
    nature = Nature(
        "a virtual machine by QEMU",
        isolates=(
            *("files", "processes", "network", "IPC", "host name", "devices", "keyrings"),
            "kernel",
        ),
        shares_kernel=False,
    )

    def __init__(self) -> None:
        qemu = find_tool(_QEMU, "qemu-system-x86 (app-emulation/qemu)")
        daemon = machine.find_daemon()
        found = kernel.find()
        accelerator = machine.accelerator(qemu, found)
        self._hardware = machine.Hardware(qemu, daemon, found, accelerator)
        self._initramfs = kernel.initramfs(found.modules)
        if accelerator == "tcg":
            said = "KVM is not available; qemu emulates the processor, some 50 times slower"
            self.nature = replace(self.nature, caution=said)

    @classmethod
    def provide(cls) -> None:
        """Fetch a kernel if there is none."""
        if shutil.which(_QEMU):
            kernel.provide()

    def start(
        self, request: wire.Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """As for every tool, but limits apply inside of the machine, not to QEMU."""
        return super().start(replace(request, cgroups=()), common, streams)

    def shown(self, common: list[Mount]) -> list[Mount]:
        """The mounts that binds may lie in; the machine has its own of each."""
        for mount in common:
            if mount.target not in (*_HELD, "/proc"):
                os.close(mount.fd)
        return super().shown([m for m in common if m.target in (*_HELD, "/proc")])

    def launch(self, request: wire.Request, root: Path, streams: Sequence[int]) -> Started:
        """Start a machine, wait for its agent, and let it start the command."""
        ports = CommandPorts(streams, terminal=request.command.tty)
        self._session = session = Session(root.parent, ports)
        sockets = _sockets(request.sandbox, root)
        shown = {port: root / target.lstrip("/") for target, port in sockets.items()}
        pid = session.power_on(self._hardware, self._initramfs, root, request.sandbox, shown)
        session.receive(time.monotonic() + _BOOT)
        session.send(
            wiring.Instructions(
                request=wire.text(replace(request, sandbox=_seen_inside(request.sandbox, sockets))),
                network=request.sandbox.network,
                streams=tuple(ports.streams),
                ports=ports.ports,
                size=ports.size,
                sockets=sockets,
            )
        )
        ports.join()
        report = session.receive(time.monotonic() + _BOOT)
        if "error" in report:
            raise reported(report, "making a sandbox in a virtual machine")
        return Started(pid, passed=ports.passed, kept=session.kept)

    def attend(self, started: Started, request: wire.Request) -> dict[str, Any]:
        """Wait for the agent's report; without one, print the console to standard error."""
        timeout = request.command.timeout
        deadline = None if timeout is None else time.monotonic() + timeout + _GRACE
        try:
            report = self._session.receive(deadline)
            self._session.drain(report.pop("counts"), _DRAIN)
        except SandboxError as error:
            late = deadline is not None and time.monotonic() > deadline
            self._session.write_error(error)
            report = {**reaping.report(-signal.SIGKILL, timed_out=late), "killed": not late}
        reaping.end_all()
        return report


def _sockets(sandbox: Sandbox, root: Path) -> dict[str, int]:
    """A port of the machine's network for each bound socket, by its target."""
    targets = [bind.target for bind in sandbox.binds]
    found = [target for target in targets if (root / target.lstrip("/")).is_socket()]
    return {target: port for port, target in enumerate(found, wiring.FIRST)}


def _seen_inside(sandbox: Sandbox, sockets: Mapping[str, int]) -> Sandbox:
    """The sandbox as the agent has to make it: over the shared directory, with own sockets."""
    root = Path(wiring.ROOT)
    sources = {target: Path(wiring.socket_path(port)) for target, port in sockets.items()}
    binds = tuple(
        replace(bind, source=sources.get(bind.target, root / bind.target.lstrip("/")))
        for bind in sandbox.binds
    )
    return replace(sandbox, lowers=(root,), upper=None, binds=binds)
