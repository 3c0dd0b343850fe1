"""Calls a guest script in a sandbox: request in, events and a result out."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cloche.decoding import NOT_DECODABLE
from cloche.layers import SOURCE_DATE_EPOCH
from cloche.linux import descriptors
from cloche.records.logs import held_for_writing
from cloche.sandbox.base import Bind, Command, Ended, Engine, Limits, Process, Sandbox
from cloche.sandbox.copying import Outlet, written_to
from cloche.tasks.errors import (
    GuestError,
    StepError,
)

GUEST = Path(__file__).resolve().parent.parent / "guest"

# The whole environment of a guest; nothing of the caller's is passed on.
ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/run/cloche/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "SHELL": "/bin/bash",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "TERM": "dumb",
    "NOCOLOR": "true",
    "SOURCE_DATE_EPOCH": str(SOURCE_DATE_EPOCH),
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",  # Portage's helpers run in forks of the guest, and write what sets hold
}

LONGEST_LOG = 1 << 30  # bytes of a step's log; the step that writes more fails
LONGEST_LINE = 256 << 20  # bytes; a resolution of some thousand packages is one line

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a guest script. ``workspace`` is a directory of the caller's for small files.

    ``package`` is the id of its package, by which the user may stop it; ``step`` what it does for
    that, by default the script's name.
    """

    script: str
    request: Mapping[str, Any]
    sandbox: Sandbox
    workspace: Path
    log: Path
    environment: Mapping[str, str]
    timeout: float | None = None
    package: str | None = None
    step: str = ""

    @property
    def doing(self) -> str:
        """The name of the step."""
        return self.step or self.script


class Stoppable(Protocol):
    """What runs and can be ended, such as a sandbox's process."""

    def kill(self) -> None:
        """End it at once. Does nothing if it has ended."""


class Running:
    """Running sandboxes, so that an interrupt or the user can end all of them, or a package's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: dict[Stoppable, str | None] = {}
        self._stopped = False
        self._unwanted: set[str] = set()

    @property
    def stopped(self) -> bool:
        """True once all are being ended."""
        with self._lock:
            return self._stopped

    def add(self, process: Stoppable, package: str | None = None) -> None:
        """Add a process; end it at once if it, or everything, is being stopped."""
        with self._lock:
            self._processes[process] = package
            stopped = self._stopped or package in self._unwanted
        if stopped:
            process.kill()

    def discard(self, process: Stoppable) -> None:
        """Remove an ended process."""
        with self._lock:
            self._processes.pop(process, None)

    def stop(self) -> None:
        """End all, now and from now on."""
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            process.kill()

    def stop_package(self, package: str) -> None:
        """End all of one package, now and from now on: it fails with "stopped"."""
        with self._lock:
            self._unwanted.add(package)
            processes = [p for p, name in self._processes.items() if name == package]
        for process in processes:
            process.kill()

    def unwanted(self, package: str | None) -> bool:
        """True once the user stopped this package."""
        with self._lock:
            return package in self._unwanted


def tail_of(log: Path, lines: int = 15) -> str:
    """The last lines of a log, at most 1 KiB each on average, undecodable bytes replaced."""
    try:
        with log.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 1024 * lines))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def call(
    engine: Engine,
    running: Running,
    wanted: Call,
    on_event: Callable[[Message], None] = lambda _: None,
    watch: Callable[[Process], None] | None = None,
) -> tuple[Message, Ended]:
    """Run a script to its end and return its result. ``watch`` is called every half second.

    Raises StepError if the call's package was stopped, GuestError if there was no result.
    """
    sandbox, command = _furnished(wanted)
    messages: list[Message] = []
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(wanted.log.open("ab"))
        stack.enter_context(held_for_writing(log))
        outlet = stack.enter_context(written_to(log, LONGEST_LOG))
        reader, writer = descriptors.pipe()
        listener = threading.Thread(target=_listen, args=(reader, messages, on_event), daemon=True)
        try:
            process = engine.start(
                sandbox, command, stdout=outlet.writer, stderr=outlet.writer, fds={3: writer}
            )
        finally:
            descriptors.close(writer)
            outlet.given()
            listener.start()
        running.add(process, wanted.package)
        try:
            ended = _wait(process, watch, outlet)
        finally:
            running.discard(process)
            listener.join()
    if ended.killed and wanted.package and running.unwanted(wanted.package):
        raise StepError(wanted.package, wanted.doing, "stopped", log=str(wanted.log))
    if outlet.over:
        text = f"the log exceeded {LONGEST_LOG >> 20} MiB"
        return {"status": "failed", "text": text}, ended
    if not messages:
        reason = describe(ended) + perhaps_memory(ended, sandbox.limits)
        what = f"the guest's {wanted.doing} ended without an answer ({reason})"
        raise GuestError(what, detail=tail_of(wanted.log))
    return messages[-1], ended


def _furnished(wanted: Call) -> tuple[Sandbox, Command]:
    """The sandbox with our scripts and the request, and the command that runs them."""
    request = wanted.workspace / f"{wanted.script}.request.json"
    request.write_bytes(msgspec.json.encode(wanted.request))
    ours = (
        Bind(GUEST, "/run/cloche/guest"),
        Bind(GUEST / "bin", "/run/cloche/bin"),
        Bind(request, "/run/cloche/request.json"),
    )
    command = Command(
        argv=("/usr/bin/python3", "-P", "-s", f"/run/cloche/guest/{wanted.script}.py"),
        env={**ENVIRONMENT, **wanted.environment},
        timeout=wanted.timeout,
    )
    return replace(wanted.sandbox, binds=(*wanted.sandbox.binds, *ours)), command


def describe(ended: Ended) -> str:
    """How a command ended, as text."""
    if ended.timed_out:
        return "time limit"
    if ended.killed:
        return "killed"
    return f"signal {ended.status - 128}" if ended.status > 128 else f"status {ended.status}"


def perhaps_memory(ended: Ended, limits: Limits) -> str:
    """A clause to add if the kernel may have killed a command for its memory."""
    if limits.memory is None or ended.status != 128 + signal.SIGKILL or ended.timed_out:
        return ""
    return f"; it may need more memory than [limits] memory allows ({limits.memory >> 20} MiB)"


def _wait(process: Process, watch: Callable[[Process], None] | None, outlet: Outlet) -> Ended:
    try:
        while (ended := process.wait(0.5)) is None:
            if outlet.over:
                process.kill()
            if watch:
                watch(process)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return ended


def _listen(reader: int, messages: list[Message], on_event: Callable[[Message], None]) -> None:
    """Read the guest's lines until it closes its end; keep the result, pass on the rest.

    Messages are untrusted: an ebuild may write to descriptor 3, too. A line that is not a JSON
    object is dropped, and nothing in a message names a path of the host.
    """
    with open(reader, "rb") as stream:
        while line := stream.readline(LONGEST_LINE):
            try:
                message = msgspec.json.decode(line, type=dict[str, Any])
            except NOT_DECODABLE:
                continue
            if message.get("event") == "result":
                messages[:] = [message]
            else:
                on_event(message)
