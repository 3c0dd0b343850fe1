"""The agent: the first process of a virtual machine, its launcher for a single sandbox.

It gets a request through a port, runs it with the same code as on a host, with the shared directory
as the composed root, and connects the command's descriptors to other ports. It never ends by
itself: the supervisor ends the machine. If it fails, the kernel panics, and the console shows why.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import termios
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NoReturn

from cloche.linux import calls, mounts, network, processes, seccomp
from cloche.sandbox import (
    cgroups,
    copying,
    init,
    programs,
    wire,
)
from cloche.sandbox.native import Native
from cloche.vm import wiring

_NEW = "/new"  # becomes the root, as the kernel's first one cannot be pivoted away from

_TICK = 0.01  # seconds

Copies = dict[str, copying.Copy]


def main() -> NoReturn:
    """Run as the machine's first process."""
    for kind, target in (("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")):
        _mount(kind, target)
    for path in sorted(Path(wiring.MODULES).iterdir()):
        _load(path)
    ports = _ports()
    control = os.open(ports[wiring.CONTROL], os.O_RDWR)
    _report(control, {"hello": os.uname().release})
    next_line = partial(next, copying.lines(control), None)
    instructions = wiring.Instructions(**json.loads(next_line() or b"{}"))
    _make_root()
    network.loopback_up()
    if instructions.network or instructions.sockets:
        network.configure("eth0", wiring.ADDRESS, wiring.NETMASK, wiring.GATEWAY)
    _serve(instructions, ports, control, next_line)
    while True:
        signal.pause()


def _serve(
    instructions: wiring.Instructions,
    ports: Mapping[str, str],
    control: int,
    next_line: Callable[[], bytes | None],
) -> None:
    """Carry out the request, and report."""
    requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    runtime = Native(Path(wiring.ROOT))
    programs.registered_interpreters()
    seccomp.compile_filters()
    pid, _ = processes.clone(processes.CLONE_NEWPID)  # before there are threads
    if pid == 0:
        init.run(runtime, theirs, os.pidfd_open(1), network=True)  # the network is the machine's
    theirs.close()
    for port in instructions.sockets.values():
        _lead_out(port)
    channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    given, outward = _streams(instructions, ports)
    wire.send(requests, {}, [_packed(instructions.request), theirs.fileno(), *given])
    for fd in set(given):
        os.close(fd)
    theirs.close()
    report, passed = wire.receive(channel)
    _report(control, report)
    if passed:
        outward |= _terminal(passed[0], ports, next_line)
    report, _ = wire.receive(channel)
    os.waitpid(pid, 0)
    for copy in outward.values():
        copy.join()
    os.sync()
    _report(control, {**(report or {}), "counts": {n: c.copied for n, c in outward.items()}})


def _lead_out(port: int) -> None:
    """Listen on a socket that stands for one of the host's, and forward its connections there."""
    path = wiring.socket_path(port)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    Path(path).chmod(0o666)
    listener.listen()
    threading.Thread(target=_accept, args=(listener, port), daemon=True).start()


def _accept(listener: socket.socket, port: int) -> None:
    while True:
        client, _ = listener.accept()
        server = socket.socket(socket.AF_INET)
        try:
            server.connect((wiring.SOCKETS, port))
        except OSError:
            client.close()
            continue
        for source, target in ((client, server), (server, client)):
            then = partial(_ended, source, target)
            copying.Copy(source.fileno(), target.fileno(), then)


def _ended(source: socket.socket, target: socket.socket) -> None:
    """Shut down ``target`` when ``source`` has ended. The callback keeps both open until then."""
    del source
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def _report(control: int, report: object) -> None:
    copying.write_all(control, json.dumps(report).encode() + b"\n")


def _mount(kind: str, target: str, source: str | None = None) -> None:
    Path(target).mkdir(parents=True, exist_ok=True)
    mounts.mount(source or kind, target, kind, 0)


def _load(path: Path) -> None:
    """Load a module; finit_module(2)."""
    with path.open("rb") as file, contextlib.suppress(FileExistsError):
        calls.syscall("finit_module", file.fileno(), b"", 0, subject=path.name)


def _ports() -> dict[str, str]:
    """The device of each port, by the port's name."""
    names = Path("/sys/class/virtio-ports").glob("*/name")
    return {path.read_text().strip(): f"/dev/{path.parent.name}" for path in names}


def _make_root() -> None:
    """Change to a root of our own, with the shared directory in it."""
    _mount("tmpfs", _NEW)
    for name in ("/proc", "/sys", "/dev"):
        Path(_NEW + name).mkdir()
        mounts.mount(name, _NEW + name, None, mounts.MS_MOVE)
    _mount("virtiofs", _NEW + wiring.ROOT, wiring.TAG)
    _mount("devpts", f"{_NEW}/dev/pts")
    with contextlib.suppress(OSError):  # kernels without control groups
        _mount("cgroup2", f"{_NEW}/sys/fs/cgroup")
        Path(_NEW, "sys/fs/cgroup/cgroup.subtree_control").write_text("+pids")
    os.chdir(_NEW)
    mounts.mount(".", "/", None, mounts.MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def _packed(text: str) -> int:
    """The request as a descriptor, with control groups of this machine."""
    fd = os.memfd_create("cloche-request")
    copying.write_all(fd, text.encode())
    request = wire.unpack(fd)
    os.close(fd)
    return wire.pack(replace(request, cgroups=cgroups.create_for_sandbox(request.sandbox.limits)))


def _streams(
    instructions: wiring.Instructions, ports: Mapping[str, str]
) -> tuple[list[int], Copies]:
    """Descriptors for the command, in the request's order, and what is copied outwards."""
    made: dict[str | None, int] = {None: os.open(os.devnull, os.O_RDWR)}
    outward: Copies = {}
    for name, direction in instructions.ports.items():
        port = os.open(ports[name], os.O_RDWR)
        read, write = os.pipe()
        if direction == wiring.IN:
            made[name] = read
            _connected(port)
            copying.Copy(port, write, partial(os.close, write))
        else:
            made[name] = write
            outward[name] = copying.Copy(read, port)
    given = [made[name] for name in instructions.streams]
    if instructions.size is not None:  # the command's terminal is made as large as this one
        _, given[1] = os.openpty()
        rows, columns = instructions.size
        termios.tcsetwinsize(given[1], (rows, columns))
    return given, outward


def _connected(port: int) -> None:
    """Wait for a port's first byte: before it, end of file means that nobody has connected."""
    while not os.read(port, 1):
        time.sleep(_TICK)


def _terminal(
    master: int, ports: Mapping[str, str], next_line: Callable[[], bytes | None]
) -> Copies:
    """Connect the command's terminal to its ports, and resize it as the supervisor says."""

    def resize() -> None:
        while line := next_line():
            rows, columns = json.loads(line)["size"]
            termios.tcsetwinsize(master, (rows, columns))

    threading.Thread(target=resize, daemon=True).start()
    into, out = (os.open(ports[name], os.O_RDWR) for name in wiring.TERMINAL)
    _connected(into)
    copying.Copy(into, master)
    return {wiring.TERMINAL[1]: copying.Copy(master, out)}
