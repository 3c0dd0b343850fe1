"""An engine whose sandboxes are processes of this machine, started by a launcher."""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import select
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from cloche.sandbox import (
    cgroups,
    wire,
)
from cloche.sandbox.base import Command, Ended, Sandbox
from cloche.sandbox.errors import LauncherError, ProgramError, SandboxError
from cloche.sandbox.launcher import fork_launcher
from cloche.sandbox.runtime import Runtime
from cloche.sandbox.terminal import Terminal

_HOST_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?"
)  # hostname(7), and 64 bytes


class LocalProcess:
    """A command in a sandbox, held by the descriptor of the sandbox's first process."""

    def __init__(self, pidfd: int, channel: socket.socket, groups: tuple[str, ...]) -> None:
        self._pidfd = pidfd
        self._channel = channel
        self._groups = groups
        self._terminal: Terminal | None = None
        self._lock = threading.Lock()
        self._ended: Ended | None = None

    def started(self, stdin: int | None, stdout: int | None) -> None:
        """Wait until the program is executed; join its terminal, if it has one, to the caller's."""
        report, passed = wire.receive(self._channel)
        if report is None or "error" in report:
            raise _failure(report)
        if passed:
            self._terminal = Terminal(passed[0], stdin, stdout)

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait until no process of the sandbox is left; None when ``timeout`` seconds passed."""
        with self._lock:
            if self._ended is not None:
                return self._ended
            watched = os.dup(self._pidfd)  # another thread may collect, and close, meanwhile
        try:
            if self._terminal is not None:
                ready = self._terminal.serve(watched, timeout)
            else:
                ready = _readable(watched, timeout)
        finally:
            os.close(watched)
        if not ready:
            return None
        with self._lock:
            if self._ended is None:
                self._ended = self._collect()
        return self._ended

    def kill(self) -> None:
        """End the whole sandbox at once."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._ended is None:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    @property
    def ended(self) -> bool:
        """True when `wait` has seen the end."""
        return self._ended is not None

    def _collect(self) -> Ended:
        """Read how it ended. Without a report it was killed, from here or by the kernel."""
        report, _ = wire.receive(self._channel, socket.MSG_DONTWAIT)
        self._channel.close()
        if self._terminal is not None:
            self._terminal.close()
        os.close(self._pidfd)
        cgroups.remove(self._groups)
        if report is None or "status" not in report:
            return Ended(status=128 + signal.SIGKILL, killed=True)
        return Ended(
            status=report["status"],
            killed=report.get("killed", False),
            timed_out=report["timed_out"],
            user_seconds=report["user"],
            system_seconds=report["system"],
            max_rss=report["rss"],
        )


class LocalEngine:
    """Starts sandboxes through a launcher. Make it in the main thread, before there are others."""

    def __init__(self, runtime: Runtime) -> None:
        if threading.active_count() > 1:
            raise RuntimeError("an engine must be made before there are threads")
        self.name = runtime.name
        self.nature = runtime.nature
        self._groups = cgroups.create_for_engine()
        if runtime.makes_groups:
            self._groups += cgroups.create_for_tool()
        self._launcher, self._socket = fork_launcher(self._groups, runtime)
        self._lock = threading.Lock()
        self._requests = 0
        self._running: set[LocalProcess] = set()
        self._closed = False

    def start(
        self,
        sandbox: Sandbox,
        command: Command,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        fds: Mapping[int, int] | None = None,
    ) -> LocalProcess:
        """Start a command; see `Engine.start`. Returns when its program has been executed."""
        extra = dict(fds or {})
        _check(sandbox, command, extra)
        groups = cgroups.create_for_sandbox(sandbox.limits)
        request = wire.Request(sandbox, command, tuple(extra), groups)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as opened:
            opened.enter_context(theirs)
            null = os.open(os.devnull, os.O_RDWR)
            opened.callback(os.close, null)
            packed = wire.pack(request)
            opened.callback(os.close, packed)
            # What a terminal is joined to stays outside; only its size is taken over.
            default = 1 if command.tty else null
            streams = [default if fd is None else fd for fd in (stdin, stdout, stderr)]
            try:
                pidfd = self._ask(
                    [packed, theirs.fileno(), *streams, *extra.values()], network=sandbox.network
                )
            except BaseException:
                ours.close()
                cgroups.remove(groups)
                raise
        process = LocalProcess(pidfd, ours, groups)
        with self._lock:
            self._running = {other for other in self._running if not other.ended}
            self._running.add(process)
        try:
            process.started(stdin, stdout)
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def close(self) -> None:
        """End all sandboxes and the launcher. Harmless the second time."""
        if self._closed:
            return
        self._closed = True
        for process in self._running:
            process.kill()
        for process in self._running:
            process.wait()
        self._socket.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._launcher, 0)
        cgroups.remove(self._groups)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, descriptors: list[int], *, network: bool) -> int:
        """Let the launcher fork a sandbox; return a pidfd of its first process."""
        if len(descriptors) > wire.MAX_DESCRIPTORS:
            raise SandboxError("passing descriptors", f"at most {wire.MAX_DESCRIPTORS} can go in")
        try:
            with self._lock:
                self._requests += 1
                ident = self._requests
                wire.send(self._socket, {"id": ident, "network": network}, descriptors)
                while True:
                    report, passed = wire.receive(self._socket)
                    if report is None or report["id"] == ident:
                        break
                    _abandon(passed)
        except ConnectionError:
            raise LauncherError from None
        except OSError as error:
            if self._closed:
                raise LauncherError from None
            text = error.strerror or str(error)
            raise SandboxError("passing descriptors", text, error.errno or 0) from error
        if report is None:
            raise LauncherError
        if not passed:
            raise SandboxError("forking a sandbox", report["what"], report["errno"])
        return passed[0]


def _check(sandbox: Sandbox, command: Command, fds: Iterable[int]) -> None:
    """Refuse at once, in one way, what each tool would refuse or alter in its own."""
    for wrong in _wrong(sandbox, command, fds):
        raise SandboxError("making a sandbox", wrong)


def _wrong(sandbox: Sandbox, command: Command, fds: Iterable[int]) -> Iterator[str]:
    if not sandbox.lowers:
        yield "it has no lower directory"
    if not command.argv:
        yield "its command is empty"
    if any("\0" in text for text in (*command.argv, *command.env.values(), command.cwd)):
        yield "its command has a null byte"
    for name in command.env:
        if not name or "=" in name or "\0" in name:
            yield f"{name!r} is not the name of a variable"
    if not command.cwd.startswith("/"):
        yield f"its directory {command.cwd!r} is not an absolute path"
    if not _HOST_NAME.fullmatch(sandbox.hostname):
        yield f"{sandbox.hostname!r} is not a host name"
    for number in fds:
        if number < 3:
            yield f"a descriptor cannot get the number {number}"
    for target in (*sandbox.tmpfs, *(bind.target for bind in sandbox.binds)):
        if not target.startswith("/") or posixpath.normpath(target) != target or target == "/":
            yield f"{target!r} is not a plain absolute path"


def _failure(report: dict[str, Any] | None) -> SandboxError:
    """Make the error that a sandbox's report, or its silence, stands for."""
    if report is None:
        return SandboxError("making a sandbox", "it ended before its command was started")
    if report["error"] == "NotStartedError":
        return ProgramError(*report["args"])
    if report["error"] == "SandboxError":
        return SandboxError(*report["args"])
    return SandboxError("making a sandbox", report["what"], 0, report.get("todo"))


def _abandon(pidfds: list[int]) -> None:
    """End sandboxes whose start was interrupted before the launcher had answered."""
    for pidfd in pidfds:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)


def _readable(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else max(0, timeout * 1000)))
