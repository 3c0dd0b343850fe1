"""An engine whose sandboxes are processes of this host, started by a launcher.

It only needs the launcher's socket, so the launcher may be a child of another process: programs
with threads get one from a broker (`cloche.broker`).
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import signal
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloche.linux import descriptors
from cloche.sandbox import (
    cgroups,
    wire,
)
from cloche.sandbox.base import Command, Ended, Engine, Nature, Sandbox
from cloche.sandbox.errors import LauncherError, SandboxError, reported
from cloche.sandbox.launcher import Launcher, fork_launcher, readable
from cloche.sandbox.runtime import Runtime
from cloche.sandbox.terminal import Terminal

_HOST_NAME = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9.-]{0,62}[A-Za-z0-9])?"
)  # hostname(7), and 64 bytes

_SETTLED = 0.5  # seconds between the end of a sandbox and that of the launcher that caused it


class LocalProcess:
    """A command in a sandbox, with a pidfd of the sandbox's first process."""

    def __init__(
        self, pidfd: int, channel: socket.socket, groups: tuple[str, ...], launcher: Launcher
    ) -> None:
        self._pidfd = pidfd
        self._channel = channel
        self._groups = groups
        self._launcher = launcher
        self._terminal: Terminal | None = None
        self._lock = threading.Lock()
        self._killed = False
        self._ended: Ended | LauncherError | None = None

    def started(self, stdin: int | None, stdout: int | None) -> None:
        """Wait until the program is executed; join its terminal, if it has one, to the caller's."""
        report, passed = wire.receive(self._channel)
        if report is None and self._launcher.has_ended(_SETTLED):
            raise LauncherError(self._launcher.pid)
        if report is None or "error" in report:
            raise _failure(report)
        if passed:
            self._terminal = Terminal(passed[0], stdin, stdout)

    def wait(self, timeout: float | None = None) -> Ended | None:
        """Wait until no process of the sandbox is left; None when ``timeout`` seconds passed.

        Raises LauncherError when it ended because the launcher did.
        """
        with self._lock:
            if self._ended is not None:
                return self._result()
            watched = os.dup(self._pidfd)  # another thread may collect and close it
        try:
            if self._terminal is not None:
                ready = self._terminal.serve(watched, timeout)
            else:
                ready = readable(watched, timeout)
        finally:
            os.close(watched)
        if not ready:
            return None
        with self._lock:
            if self._ended is None:
                self._ended = self._collect()
            return self._result()

    def kill(self) -> None:
        """End the whole sandbox at once."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._ended is None:
                self._killed = True
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    @property
    def ended(self) -> bool:
        """True when `wait` has seen the end."""
        return self._ended is not None

    def _result(self) -> Ended | None:
        if isinstance(self._ended, LauncherError):
            raise self._ended
        return self._ended

    def _collect(self) -> Ended | LauncherError:
        """Read how it ended. Without a report it was killed: by us, by the kernel, or because the
        launcher died.
        """
        report, _ = wire.receive(self._channel, socket.MSG_DONTWAIT)
        self._channel.close()
        if self._terminal is not None:
            self._terminal.close()
        os.close(self._pidfd)
        cgroups.remove(self._groups)
        if report is None or "status" not in report:
            if self._launcher.has_ended(0 if self._killed else _SETTLED):
                return LauncherError(self._launcher.pid)
            return Ended(status=128 + signal.SIGKILL, killed=True)
        return Ended(
            status=report["status"],
            killed=report.get("killed", False),
            timed_out=report["timed_out"],
            user_seconds=report["user"],
            system_seconds=report["system"],
            max_rss=report["rss"],
        )


class LocalEngine(Engine):
    """Starts sandboxes through a launcher, which it closes in the end."""

    def __init__(self, name: str, nature: Nature, launcher: Launcher) -> None:
        self.name = name
        self.nature = nature
        self.launcher = launcher
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
        if sandbox.emulators and not self.nature.emulates:
            raise SandboxError(
                "making a sandbox",
                f"the engine {self.name} cannot run programs for another CPU",
                todo="use `--engine native`",
            )
        groups = cgroups.create_for_sandbox(sandbox.limits)
        request = wire.Request(sandbox, command, tuple(extra), groups)
        ours, theirs = descriptors.socket_pair()
        with contextlib.ExitStack() as opened:
            opened.callback(descriptors.close, theirs)
            null = os.open(os.devnull, os.O_RDWR)
            opened.callback(os.close, null)
            packed = wire.pack(request)
            opened.callback(os.close, packed)
            # The caller's terminal stays outside; the sandbox's only takes its size.
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
        process = LocalProcess(pidfd, ours, groups, self.launcher)
        with self._lock:
            self._running = {other for other in self._running if not other.ended}
            self._running.add(process)
        try:
            process.started(stdin, stdout)
        except BaseException:
            process.kill()
            with contextlib.suppress(LauncherError):
                process.wait()
            raise
        return process

    def close(self) -> None:
        """End all sandboxes and the launcher. May be called twice."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            running = list(self._running)
        for process in running:
            process.kill()
        for process in running:
            with contextlib.suppress(LauncherError):
                process.wait()
        self.launcher.close()

    def _ask(self, descriptors: list[int], *, network: bool) -> int:
        """Let the launcher fork a sandbox; return a pidfd of its first process."""
        if len(descriptors) > wire.MAX_DESCRIPTORS:
            raise SandboxError("passing descriptors", f"at most {wire.MAX_DESCRIPTORS} can go in")
        try:
            with self._lock:
                self._requests += 1
                ident = self._requests
                wire.send(self.launcher.socket, {"id": ident, "network": network}, descriptors)
                while True:
                    report, passed = wire.receive(self.launcher.socket)
                    if report is None or report["id"] == ident:
                        break
                    _abandon(passed)
        except ConnectionError:
            raise LauncherError(self.launcher.pid) from None
        except OSError as error:
            if self._closed:
                raise LauncherError(self.launcher.pid) from None
            text = error.strerror or str(error)
            raise SandboxError("passing descriptors", text, error.errno or 0) from error
        if report is None:
            raise LauncherError(self.launcher.pid)
        if not passed:
            raise SandboxError("forking a sandbox", report["what"], report["errno"])
        return passed[0]


def open_local(runtime: Runtime) -> LocalEngine:
    """Open an engine with a launcher of its own. Raises RuntimeError in a process with threads."""
    return LocalEngine(runtime.name, runtime.nature, fork_launcher(runtime))


def _check(sandbox: Sandbox, command: Command, fds: Iterable[int]) -> None:
    """Refuse what tools would refuse or change, each in its own way."""
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
    """The error for a sandbox's report, or for the lack of one."""
    if report is None:
        return SandboxError("making a sandbox", "it ended before its command was started")
    return reported(report, "making a sandbox")


def _abandon(pidfds: list[int]) -> None:
    """End sandboxes whose start was interrupted before the launcher had answered."""
    for pidfd in pidfds:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
