"""The supervisor's session with a running machine: its processes, ports and messages."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloche.decoding import NOT_DECODABLE
from cloche.sandbox import (
    copying,
    spawning,
)
from cloche.sandbox.assembly import step
from cloche.sandbox.base import Sandbox
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.supervisor import Words
from cloche.vm import wiring
from cloche.vm.machine import Hardware
from cloche.vm.ports import CommandPorts

_TICK = 0.2  # seconds between looks at the size of the caller's terminal
_LAST_LINES = 8


class Session:
    """``stage`` is a directory of the supervisor's own for the machine's files."""

    def __init__(self, stage: Path, ports: CommandPorts) -> None:
        self._stage = stage
        self._ports = ports
        self._words = Words()
        self._daemon = -1
        self._lines = copying.lines(ports.control.fileno())
        self._size = ports.size

    @property
    def kept(self) -> tuple[int, ...]:
        """The descriptors that it needs."""
        return (*self._ports.kept, self._words.fd, self._daemon)

    def power_on(
        self,
        hardware: Hardware,
        initramfs: bytes,
        root: Path,
        sandbox: Sandbox,
        sockets: Mapping[int, Path],
    ) -> int:
        """Start the daemon that shares ``root``, and the machine; return the machine's pid."""
        with step("preparing a virtual machine"):
            (self._stage / "initramfs").write_bytes(initramfs)
            (self._stage / "console").touch()
            # virtiofsd keeps a descriptor open for each file that the machine knows.
            most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with step("starting virtiofsd"), socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(self._stage / "socket"))
            listening.listen(1)
            words = hardware.daemon(root, 3)
            self._daemon = os.pidfd_open(self._spawn(words, {3: listening.fileno()}))
        with step("starting QEMU"), self._ports.handed_over() as ports:
            numbers = {name: number for number, name in enumerate(ports, 3)}
            fds = {numbers[name]: fd for name, fd in ports.items()}
            words = hardware.command(
                self._stage, sandbox.limits, numbers, sockets, network=sandbox.network
            )
            return self._spawn(words, fds)

    def _spawn(self, words: list[str], fds: dict[int, int]) -> int:
        null = os.open(os.devnull, os.O_RDWR)
        fds = {0: null, 1: self._words.fd, 2: self._words.fd, **fds}
        try:
            return spawning.spawn(words[0], tuple(words), {}, fds)
        finally:
            os.close(null)

    def send(self, message: wiring.Instructions | dict[str, Any]) -> None:
        """Send a message to the agent."""
        plain = asdict(message) if isinstance(message, wiring.Instructions) else message
        with contextlib.suppress(OSError):  # `receive` notices that the machine has ended
            self._ports.control.sendall(json.dumps(plain).encode() + b"\n")

    def receive(self, deadline: float | None) -> dict[str, Any]:
        """Wait for the agent's next report. Raises SandboxError when none comes."""
        while True:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise self._failure("it timed out")
            wanted = [t for t in (left, _TICK if self._size else None) if t is not None]
            control = self._ports.control.fileno()
            ready, _, _ = select.select([control, self._daemon], [], [], min(wanted, default=None))
            self._resize()
            if control in ready:
                line = next(self._lines, None)
                if line is None:
                    raise self._failure("it ended")
                return self._report(line)
            if ready:
                raise self._failure("virtiofsd ended")

    def _report(self, line: bytes) -> dict[str, Any]:
        """Decode a line, which is untrusted: root in the machine may have written it."""
        try:
            report = json.loads(line)  # msgspec is not imported in this process
        except NOT_DECODABLE:
            report = None
        if not isinstance(report, dict):
            raise self._failure("its report is malformed")
        return report

    def drain(self, counts: dict[str, int], timeout: float) -> None:
        """Wait until all output of the command has arrived. Raises SandboxError."""
        if not self._ports.drain(counts, timeout):
            raise self._failure("some of the command's output is missing")

    def write_error(self, error: SandboxError) -> None:
        """Write to the command's standard error why it ended."""
        if (fd := self._ports.errors) is not None:
            with contextlib.suppress(OSError):
                copying.write_all(fd, f"cloche: {error.what}\n".encode())

    def _resize(self) -> None:
        if self._size and (size := self._ports.size) != self._size:
            self._size = size
            self.send({"size": size})

    def _failure(self, what: str) -> SandboxError:
        """The error, with the end of the console or of the programs' messages."""
        lines = _last_words((self._stage / "console").read_text(errors="replace"))
        words = [what, *lines, str(self._words)]
        return SandboxError("running a virtual machine", "; ".join(filter(None, words)))


def _last_words(console: str) -> list[str]:
    """The end of a console's output, or the panic before the registers and the stack."""
    lines = [line.strip() for line in console.splitlines() if line.strip()]
    for number, line in enumerate(lines):
        if "Kernel panic" in line:
            lines = lines[: number + 1]
            break
    return lines[-_LAST_LINES:]
