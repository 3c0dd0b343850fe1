"""The native engine: cloche's own namespaces, overlays and launcher."""

from __future__ import annotations

import contextlib
import os
import posixpath
import select
import signal
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from cloche.engines import cgroups, wire
from cloche.engines.base import Command, Ended, Sandbox
from cloche.engines.errors import LauncherError, ProgramError, SandboxError
from cloche.engines.launcher import fork_launcher
from cloche.engines.terminal import Terminal


class NativeProcess:
    """A command in a sandbox, held by the descriptor of the sandbox's first process."""

    def __init__(
        self, pidfd: int, channel: socket.socket, groups: tuple[str, ...], terminal: Terminal | None
    ) -> None:
        self._pidfd = pidfd
        self._channel = channel
        self._groups = groups
        self._terminal = terminal
        self._lock = threading.Lock()
        self._ended: Ended | None = None

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait until no process of the sandbox is left; None when ``timeout`` seconds passed."""
        if self._ended is not None:
            return self._ended
        if self._terminal is not None:
            ready = self._terminal.serve(self._pidfd, timeout)
        else:
            ready = _readable(self._pidfd, timeout)
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
            timed_out=report["timed_out"],
            user_seconds=report["user"],
            system_seconds=report["system"],
            max_rss=report["rss"],
        )


class NativeEngine:
    """Starts sandboxes through a launcher. Make it in the main thread, before there are others."""

    name = "native"

    def __init__(self) -> None:
        if threading.active_count() > 1:
            raise RuntimeError("an engine must be made before there are threads")
        self._launcher, self._socket = fork_launcher()
        self._lock = threading.Lock()
        self._running: set[NativeProcess] = set()
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
    ) -> NativeProcess:
        """Start a command; see `Engine.start`. Returns when its program has been executed."""
        _check(sandbox, command)
        extra = dict(fds or {})
        groups = cgroups.create(sandbox.limits)
        request = wire.Request(sandbox, command, tuple(extra), groups)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as opened:
            opened.enter_context(theirs)
            null = os.open(os.devnull, os.O_RDWR)
            opened.callback(os.close, null)
            packed = wire.pack(request)
            opened.callback(os.close, packed)
            streams = [null if fd is None else fd for fd in (stdin, stdout, stderr)]
            try:
                pidfd = self._ask([packed, theirs.fileno(), *streams, *extra.values()])
            except BaseException:
                ours.close()
                cgroups.remove(groups)
                raise
        report, passed = wire.receive(ours)
        terminal = Terminal(passed[0], stdin, stdout) if passed else None
        process = NativeProcess(pidfd, ours, groups, terminal)
        if report is None or "error" in report:
            process.kill()
            process.wait()
            raise _failure(report)
        with self._lock:
            self._running = {other for other in self._running if other._ended is None}
            self._running.add(process)
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, descriptors: list[int]) -> int:
        """Let the launcher fork a sandbox; return a pidfd of its first process."""
        if len(descriptors) > wire.MAX_DESCRIPTORS:
            raise SandboxError("passing descriptors", f"at most {wire.MAX_DESCRIPTORS} can go in")
        try:
            with self._lock:
                wire.send(self._socket, {}, descriptors)
                report, passed = wire.receive(self._socket)
        except (BrokenPipeError, ConnectionResetError):
            raise LauncherError from None
        if report is None:
            raise LauncherError
        if not passed:
            raise SandboxError("forking a sandbox", report["what"], report["errno"])
        return passed[0]


def _check(sandbox: Sandbox, command: Command) -> None:
    if not sandbox.lowers:
        raise SandboxError("making a sandbox", "it has no lower directory")
    if not command.argv:
        raise SandboxError("making a sandbox", "its command is empty")
    for target in (*sandbox.tmpfs, *(bind.target for bind in sandbox.binds)):
        if not target.startswith("/") or posixpath.normpath(target) != target or target == "/":
            raise SandboxError("making a sandbox", f"{target!r} is no plain absolute path")


def _failure(report: dict[str, Any] | None) -> SandboxError:
    """Make the error that a sandbox's report, or its silence, stands for."""
    if report is None:
        return SandboxError("making a sandbox", "it ended before its command was started")
    if report["error"] == "_NotStartedError":
        return ProgramError(*report["args"])
    if report["error"] == "SandboxError":
        return SandboxError(*report["args"])
    return SandboxError("making a sandbox", report["what"], 0, report.get("todo"))


def _readable(fd: int, timeout: float | None) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else max(0, timeout * 1000)))
