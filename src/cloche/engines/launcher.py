"""The launcher: a small single-threaded process that forks sandboxes for an engine.

Forked from the command line's process before it has threads, with everything imported, it starts a
sandbox in the time of a fork; starting a Python for each would take twenty times as long. It ends
when the engine closes its socket or its process dies, and every sandbox follows it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from typing import NoReturn

from cloche.engines import inside, wire
from cloche.linux import processes


def fork_launcher() -> tuple[int, socket.socket]:
    """Fork a launcher; return its pid and the socket that takes requests."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    parent = os.getpid()
    gc.freeze()  # pages of objects that no collector touches stay shared
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            _serve(theirs, parent)
        finally:
            os._exit(1)
    gc.unfreeze()
    theirs.close()
    return pid, ours


def _serve(requests: socket.socket, parent: int) -> NoReturn:
    gc.disable()
    os.setsid()  # Ctrl-C is for the command line to act upon
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; the engine has pidfds
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    processes.close_all_but([0, 1, 2, requests.fileno()])
    own = os.pidfd_open(os.getpid())
    while True:
        report, fds = wire.receive(requests)
        if report is None:
            os._exit(0)
        _fork_sandbox(requests, fds, own)
        for fd in fds:
            os.close(fd)


def _fork_sandbox(requests: socket.socket, fds: list[int], own: int) -> None:
    try:
        pid, pidfd = processes.clone(processes.CLONE_NEWPID)
    except OSError as error:
        with contextlib.suppress(OSError):
            wire.send(requests, {"errno": error.errno, "what": error.strerror})
        return
    if pid == 0:
        inside.run(fds, own)
    with contextlib.suppress(OSError):
        wire.send(requests, {"pid": pid}, [pidfd])
    os.close(pidfd)
