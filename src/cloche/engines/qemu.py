"""QEMU: a virtual machine for each sandbox, with a kernel of its own.

The keeper composes the root as for every other tool; virtiofsd shares it with the machine, in which
cloche's own code (`vm.agent`) makes the sandbox as native does on a host. Whatever the command
writes lands in the same overlay, so results are equal.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cloche.engines import reaping, spawning, wire
from cloche.engines.assembly import Mount, step
from cloche.engines.base import Bind, Nature, Sandbox
from cloche.engines.errors import SandboxError
from cloche.engines.keeper import Keeper, Words, find_tool
from cloche.engines.vm import copying, initramfs, kernel, machine, wiring
from cloche.engines.vm.plugs import Plugs
from cloche.engines.way import Started

_BOOT = 240  # seconds until the agent must have come; four are usual without KVM
_GRACE = 60  # seconds that a machine has for reporting that a time limit has passed
_DRAIN = 60  # seconds for what is on its way when the command has ended
_TICK = 0.2  # seconds between looks at the size of the caller's terminal
_LAST_LINES = 8
_HELD = {"/dev", "/dev/shm", "/tmp", "/run"}  # noqa: S108 - for the mount points of binds
_STARTING = "starting a virtual machine"


class Qemu(Keeper):
    """Virtual machines by QEMU."""

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
        qemu = find_tool("qemu-system-x86_64", "qemu-system-x86 (app-emulation/qemu)")
        daemon = machine.find_daemon()
        found = kernel.find()
        accelerator = machine.accelerator(qemu, found)
        self._hardware = machine.Hardware(qemu, daemon, found, accelerator)
        self._initramfs = initramfs.build(found.modules)
        if accelerator == "tcg":
            said = "qemu imitates the processor, as KVM cannot be used here: 10 to 20 times slower"
            self.nature = replace(self.nature, caution=said)

    def start(
        self, request: wire.Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """As for every tool; but limits hold inside of the machine, and QEMU is not under them."""
        return super().start(replace(request, cgroups=()), common, streams)

    def shown(self, common: list[Mount]) -> list[Mount]:
        """What binds may lie in; the machine has its own of all of them."""
        for mount in common:
            if mount.target not in (*_HELD, "/proc"):
                os.close(mount.fd)
        return super().shown([m for m in common if m.target in (*_HELD, "/proc")])

    def launch(self, request: wire.Request, root: Path, streams: Sequence[int]) -> Started:
        """Start a machine, wait for its agent, and have the command started."""
        plugs = Plugs(streams, tty=request.command.tty)
        running = _Running(root.parent, plugs)
        pid = running.power_on(self._hardware, self._initramfs, root, request.sandbox)
        running.hear(time.monotonic() + _BOOT)
        running.tell(
            wiring.Told(
                request=wire.text(replace(request, sandbox=_seen_inside(request.sandbox))),
                network=request.sandbox.network,
                streams=tuple(plugs.streams),
                ports=plugs.ports,
                size=plugs.size,
            )
        )
        report = running.hear(time.monotonic() + _BOOT)
        if "error" in report:
            reaping.end_all()
            raise _error(report)
        plugs.join()
        self._running = running
        passed = (plugs.master,) if request.command.tty else ()
        return Started(pid, passed=passed, kept=tuple(running.kept))

    def attend(self, started: Started, request: wire.Request) -> dict[str, Any]:
        """Wait for the agent's report; without one, tell on standard error what the console says."""
        timeout = request.command.timeout
        deadline = None if timeout is None else time.monotonic() + timeout + _GRACE
        try:
            report = self._running.hear(deadline)
            self._running.drain(report.pop("counts"))
        except SandboxError as error:
            self._running.cry(error)
            late = deadline is not None and time.monotonic() > deadline
            report = {**reaping.report(-9, timed_out=late), "killed": not late}
        reaping.end_all()
        return report
