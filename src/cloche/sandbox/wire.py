"""The protocol between an engine, its launcher and a sandbox: requests, reports, descriptors.

A request is JSON in a memory file, because the list of a thousand layers outgrows a datagram.
Reports are JSON datagrams. Strings keep undecodable bytes as surrogates.
"""

from __future__ import annotations

import json
import os
import socket
from array import array
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloche.sandbox.base import Bind, Command, Emulator, Limits, Sandbox

MAX_DESCRIPTORS = 253  # SCM_MAX_FD of the kernel
_MAX_REPORT = 65536


@dataclass(frozen=True, slots=True)
class Request:
    """One start: command, sandbox, and the numbers of the extra descriptors inside."""

    sandbox: Sandbox
    command: Command
    fds: tuple[int, ...] = ()
    cgroups: tuple[str, ...] = ()


def text(request: Request) -> str:
    """A request as JSON."""
    sandbox, command = request.sandbox, request.command
    data = {
        "lowers": [str(path) for path in sandbox.lowers],
        "upper": str(sandbox.upper) if sandbox.upper else None,
        "binds": [(str(bind.source), bind.target, bind.writable) for bind in sandbox.binds],
        "tmpfs": sandbox.tmpfs,
        "network": sandbox.network,
        "hostname": sandbox.hostname,
        "limits": asdict(sandbox.limits),
        "emulators": [_emulator_data(each) for each in sandbox.emulators],
        "argv": command.argv,
        "env": dict(command.env),
        "cwd": command.cwd,
        "timeout": command.timeout,
        "tty": command.tty,
        "fds": request.fds,
        "cgroups": request.cgroups,
    }
    return json.dumps(data)


def pack(request: Request) -> int:
    """Write a request into a new memory file; return its descriptor."""
    fd = os.memfd_create("cloche-request")
    with open(fd, "wb", closefd=False) as stream:
        stream.write(text(request).encode())
    return fd


def unpack(fd: int) -> Request:
    """Read what `pack` wrote."""
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as stream:
        data = json.loads(stream.read())
    sandbox = Sandbox(
        lowers=tuple(data["lowers"]),
        upper=Path(data["upper"]) if data["upper"] else None,
        binds=tuple(Bind(Path(source), target, rw) for source, target, rw in data["binds"]),
        tmpfs=tuple(data["tmpfs"]),
        network=data["network"],
        hostname=data["hostname"],
        limits=Limits(**data["limits"]),
        emulators=tuple(_emulator(each) for each in data["emulators"]),
    )
    command = Command(tuple(data["argv"]), data["env"], data["cwd"], data["timeout"], data["tty"])
    return Request(sandbox, command, tuple(data["fds"]), tuple(data["cgroups"]))


def _emulator_data(emulator: Emulator) -> dict[str, Any]:
    return {**asdict(emulator), "program": str(emulator.program)}


def _emulator(data: dict[str, Any]) -> Emulator:
    flags = tuple(data["flags"]) if data["flags"] else None
    return Emulator(**{**data, "program": Path(data["program"]), "flags": flags})


def send(sock: socket.socket, report: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send a report, with copies of descriptors."""
    socket.send_fds(sock, [json.dumps(report).encode()], list(fds), socket.MSG_NOSIGNAL)


def receive(sock: socket.socket, flags: int = 0) -> tuple[dict[str, Any] | None, list[int]]:
    """Receive a report and its descriptors; None when the other side is gone."""
    try:
        # Not socket.recv_fds, which drops its flags.
        space = socket.CMSG_SPACE(MAX_DESCRIPTORS * array("i").itemsize)
        raw, extra, _, _ = sock.recvmsg(_MAX_REPORT, space, socket.MSG_CMSG_CLOEXEC | flags)
    except (BlockingIOError, ConnectionResetError):
        return None, []
    fds = array("i")
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return (json.loads(raw) if raw else None), fds.tolist()
