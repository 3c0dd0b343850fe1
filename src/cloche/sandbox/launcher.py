"""The launcher: a small single-threaded process that forks sandboxes for an engine.

It is forked from a process without threads, the command line or a broker (`cloche.broker`), with
all modules imported, so that a sandbox starts in the time of a fork; a new Python would take twenty
times as long. It ends when the engine closes its socket or its parent dies, and every sandbox ends
with it.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from cloche.linux import processes, seccomp
from cloche.sandbox import (
    cgroups,
    init,
    programs,
    wire,
)
from cloche.sandbox.runtime import Runtime

_IDLE = 10  # milliseconds without a request until a spare is made, so as not to delay starts


@dataclass(slots=True)
class Launcher:
    """An engine's handle of a launcher: ``socket`` takes requests, ``pidfd`` is readable when it
    has ended. ``groups`` are the control groups that were made for it.
    """

    pid: int
    pidfd: int
    socket: socket.socket
    groups: tuple[str, ...] = ()
    closed: bool = False

    def has_ended(self, within: float = 0.0) -> bool:
        """Whether it has ended, or ends ``within`` so many seconds."""
        return self.closed or readable(self.pidfd, within)

    def close(self) -> None:
        """End it, and wait until it has ended."""
        with contextlib.suppress(OSError), self.socket as ours:
            ours.shutdown(socket.SHUT_RDWR)  # forks of this process may have copies of it
        readable(self.pidfd, None)
        self.closed = True
        with contextlib.suppress(ChildProcessError):  # a child of the broker
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        os.close(self.pidfd)
        cgroups.remove(self.groups)


def readable(fd: int, timeout: float | None) -> bool:
    """Wait until a descriptor is readable; a pidfd is when its process has ended."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else max(0, timeout * 1000)))


def fork_launcher(runtime: Runtime) -> Launcher:
    """Fork a launcher. Raises RuntimeError in a process with threads."""
    if processes.has_threads():
        raise RuntimeError("a process with threads cannot fork a launcher: use cloche.broker")
    groups = cgroups.create_for_engine()
    if runtime.makes_groups:
        groups += cgroups.create_for_tool()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    programs.registered_interpreters()  # while /proc is the host's
    seccomp.compile_filters()
    parent = os.getpid()
    gc.freeze()  # pages of objects that no collector touches stay shared
    # Ctrl-C is for the command line: in the child it would raise in the midst of Python's fork.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, processes.INTERRUPTS)
    try:
        pid = os.fork()
        if pid == 0:
            try:
                ours.close()
                cgroups.join(groups)
                _serve(theirs, parent, runtime, mask)
            finally:
                os._exit(1)
    except BaseException:
        ours.close()
        cgroups.remove(groups)
        raise
    finally:
        gc.unfreeze()
        theirs.close()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    return Launcher(pid, os.pidfd_open(pid), ours, groups)


def _serve(requests: socket.socket, parent: int, runtime: Runtime, mask: set[int]) -> NoReturn:
    gc.disable()
    os.setsid()  # Ctrl-C is for the command line to handle
    processes.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for number in signal.valid_signals():  # a command must not inherit what Python, or nohup, set
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps; the engine has pidfds
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    processes.close_all_but([0, 1, 2, requests.fileno()])
    forker = _Forker(runtime, os.pidfd_open(os.getpid()))
    waiting = select.poll()
    waiting.register(requests, select.POLLIN)
    while True:
        if not waiting.poll(_IDLE):
            forker.provide()
        report, fds = wire.receive(requests)
        if report is None:
            os._exit(0)
        answer: dict[str, Any] = {"id": report["id"]}
        pidfds: list[int] = []
        try:
            pidfds = [forker.hand_over(fds, network=report["network"])]
        except OSError as error:
            answer.update(errno=error.errno, what=error.strerror)
        with contextlib.suppress(OSError):
            wire.send(requests, answer, pidfds)
        for fd in (*fds, *pidfds):
            os.close(fd)


class _Forker:
    """Forks sandboxes, one of them ahead of its request, which halves the time of a start."""

    def __init__(self, runtime: Runtime, launcher: int) -> None:
        self._runtime = runtime
        self._launcher = launcher
        self._spare: tuple[int, socket.socket] | None = None

    def provide(self) -> None:
        """Make a spare sandbox, without network as nearly all are."""
        if self._spare is None:
            with contextlib.suppress(OSError):  # the next request gets the error, and reports it
                self._spare = self._fork(network=False)

    def hand_over(self, fds: Sequence[int], *, network: bool) -> int:
        """Give a request's descriptors to a sandbox, the spare or a new one; return its pidfd."""
        if self._spare is not None and not network:
            (pidfd, channel), self._spare = self._spare, None
            with contextlib.suppress(OSError), channel:  # the spare may have been killed
                wire.send(channel, {}, fds)
                return pidfd
            os.close(pidfd)
        pidfd, channel = self._fork(network=network)
        with channel:
            wire.send(channel, {}, fds)
        return pidfd

    def _fork(self, *, network: bool) -> tuple[int, socket.socket]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid, pidfd = processes.clone(processes.CLONE_NEWPID)
            except OSError:
                ours.close()
                raise
            if pid == 0:
                init.run(self._runtime, theirs, self._launcher, network=network)
        return pidfd, ours
