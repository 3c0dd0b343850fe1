"""The broker process. It has no threads, so it can enter the user namespace and fork.

`client.Broker` executes it. It forks launchers and workers on request and sends the client a socket
of each; it takes no part in what goes over that socket. It ends when the client ends or closes its
socket, and all its children end with it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import select
import signal
import socket
import sys
import traceback
from typing import Any

from cloche.broker.errors import data_of
from cloche.engines import choice
from cloche.linux import processes
from cloche.sandbox import cgroups, userns, wire
from cloche.sandbox.launcher import fork_launcher


def main() -> None:
    """Serve the client. Arguments: the descriptors of the socket and of the client's process."""
    channel, client = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    for fd in (channel.fileno(), client):
        os.set_inheritable(fd, False)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # where it is ignored, nobody can be waited for
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    trouble: dict[str, Any] | None = None
    try:
        userns.enter()
    except Exception as error:
        trouble = data_of(error)
    broker = _Broker(channel, trouble)
    try:
        broker.serve(client)
    finally:
        broker.end_children()


class _Broker:
    """What it has forked: a pidfd of each child, and the control groups that were made for it.

    ``trouble`` is what kept it from entering the user namespace; it answers all requests.
    """

    def __init__(self, channel: socket.socket, trouble: dict[str, Any] | None) -> None:
        self._channel = channel
        self._trouble = trouble
        self._children: dict[int, tuple[str, ...]] = {}

    def serve(self, client: int) -> None:
        """Answer requests until the client is gone."""
        while True:
            watched = [self._channel.fileno(), client, *self._children]
            ready, _, _ = select.select(watched, [], [])
            if client in ready:
                return
            for child in self._children.keys() & set(ready):
                self._reap(child)
            if self._channel.fileno() in ready:
                request, _ = wire.receive(self._channel)
                if request is None:
                    return
                self._answer(request)

    def end_children(self) -> None:
        """End all that is left."""
        for child in list(self._children):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
            self._reap(child)

    def _reap(self, child: int) -> None:
        os.waitid(os.P_PIDFD, child, os.WEXITED)
        os.close(child)
        cgroups.remove(self._children.pop(child))

    def _answer(self, request: dict[str, Any]) -> None:
        report: dict[str, Any] = {}
        fds: list[int] = []
        failure = self._trouble
        try:
            if failure is None:
                report, fds = self._made(request["engine"])
        except Exception as error:
            failure = data_of(error)
        if failure is not None:
            report = {"error": failure}
        with contextlib.suppress(OSError):  # the client is gone
            wire.send(self._channel, report, fds)
        for fd in fds[:1]:  # the socket; the pidfd stays
            os.close(fd)

    def _made(self, engine: str | None) -> tuple[dict[str, Any], list[int]]:
        """Fork the launcher of an engine, or a worker; give its socket and its pidfd."""
        return self._worker() if engine is None else self._launcher(engine)

    def _launcher(self, engine: str) -> tuple[dict[str, Any], list[int]]:
        runtime = choice.make_runtime(engine)
        launcher = fork_launcher(runtime)
        self._children[launcher.pidfd] = launcher.groups
        nature = dataclasses.asdict(runtime.nature)
        report = {"pid": launcher.pid, "name": runtime.name, "nature": nature}
        return report, [launcher.socket.detach(), launcher.pidfd]

    def _worker(self) -> tuple[dict[str, Any], list[int]]:
        ours, theirs = socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                processes.die_with_parent(signal.SIGKILL)
                if os.getppid() == parent:
                    _work(theirs)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        theirs.close()
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = ()
        return {"pid": pid}, [ours.detach(), pidfd]


def _work(channel: socket.socket) -> None:
    """Be a worker. The broker's own descriptors are closed below objects that are not used again,
    but that live as long as this process: they are on the stack.
    """
    processes.close_all_but([0, 1, 2, channel.fileno()])
    from cloche.broker import worker

    worker.serve(channel.detach())
