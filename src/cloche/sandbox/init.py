"""The first process of a sandbox: sets it up, starts the command, and reaps.

It is pid 1 of the sandbox's pid namespace, so the kernel ends all others when it ends, and it ends
with the command's own process. It enforces the time limit out of the command's reach: pid 1 gets no
signals from inside, and has no more capabilities than the command.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from cloche.errors import ClocheError
from cloche.linux import processes
from cloche.sandbox import wire
from cloche.sandbox.assembly import Mount
from cloche.sandbox.base import Command, Sandbox
from cloche.sandbox.runtime import Runtime

_TEXT = 800  # characters
_EXAMPLE = wire.Request(Sandbox(("/",) * 100, None), Command(("true",), {}))


def run(runtime: Runtime, requests: socket.socket, launcher: int, *, network: bool) -> NoReturn:
    """Run as a sandbox's first process: set up what all have in common, then serve one request.

    A request is a list of descriptors: the request itself, report channel, 0, 1, 2, extra ones.
    ``launcher`` is a pidfd of the launcher; this process ends with it.
    """
    channel: socket.socket | None = None
    try:
        forbid_imports()
        _follow(launcher)
        processes.close_all_but([requests.fileno()])
        common: list[Mount] | None = None
        with contextlib.suppress(ClocheError):  # tried again for the request, which gets the error
            common = runtime.make_ready(network=network)
            wire.unpack(wire.pack(_EXAMPLE))  # what it touches is this process's own from then on
        _, (request_fd, channel_fd, *streams) = wire.receive(requests)
        requests.close()
        channel = socket.socket(fileno=channel_fd)
        request = wire.unpack(request_fd)
        started = runtime.start(request, common, streams)
        wire.send(channel, {"started": started.pid}, started.passed)
        processes.close_all_but([channel.fileno(), *started.kept])
        wire.send(channel, runtime.attend(started, request))
    except BaseException as error:
        if channel is not None:
            wire.send(channel, failure(error))
    finally:
        os._exit(0)


def failure(error: BaseException) -> dict[str, Any]:
    """An error as a report."""
    if not isinstance(error, ClocheError):
        error = ClocheError(f"{type(error).__name__}: {error}")
    data = error.as_data()
    return {key: _short(value) if isinstance(value, str) else value for key, value in data.items()}


def _short(text: str) -> str:
    """A text cut to fit into a report: names can be as long as arguments."""
    return text if len(text) <= _TEXT else f"{text[: _TEXT // 2]}…{text[-_TEXT // 2 :]}"


def forbid_imports() -> None:
    """Forbid loading modules: after the pivot they would come from the untrusted root."""
    sys.meta_path.clear()
    sys.path.clear()


def _follow(launcher: int) -> None:
    """End with the launcher; take signals as a fresh process does, with SIGCHLD blocked."""
    os.setsid()
    processes.forget_command_line(b"cloche-sandbox")
    processes.die_with_parent(signal.SIGKILL)
    if select.select([launcher], [], [], 0)[0]:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGCHLD])
    for number in (signal.SIGINT, signal.SIGCHLD):  # the launcher has reset the others
        signal.signal(number, signal.SIG_DFL)
