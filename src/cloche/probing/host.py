"""Finding out, before any work, whether this host can make sandboxes, and what is missing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloche.linux import processes
from cloche.probing import noop
from cloche.sandbox import (
    native,
    userns,
    wire,
)
from cloche.sandbox.base import Command, Engine, Sandbox
from cloche.sandbox.errors import HostError, SandboxError, reported

_PATIENCE = 120  # seconds; a virtual machine without help from the processor starts slowly
_ADVICE = {
    "entering new namespaces": "start this container with --privileged, or --cap-add SYS_ADMIN "
    "and without a seccomp profile that forbids unshare",
    "making /proc": "start this container with --security-opt unmask=ALL, or --privileged",
}


def check_ids() -> None:
    """See that there are enough user ids, for stores as well. Raises HostError."""
    ids = userns.mapped_ids(Path("/proc/self/uid_map").read_text())
    if ids < userns.IDS:
        raise HostError(f"only {ids} user ids are mapped here; Gentoo's packages need {userns.IDS}")


def check(directory: Path) -> None:
    """Make a sandbox whose layers lie in ``directory``, and end it. To be called after `enter`.

    Takes some 10 ms; call it in a single-threaded process. Raises HostError or SandboxError.
    """
    check_ids()
    if not processes.effective_capabilities() >> processes.CAPABILITIES["SYS_ADMIN"] & 1:
        raise HostError("uid 0 has no right to make namespaces in this container (CAP_SYS_ADMIN)")
    with _scratch(directory) as sandbox:
        _try(sandbox)


def check_engine(engine: Engine, directory: Path) -> None:
    """Start a program that does nothing. Raises SandboxError where that does not work."""
    with _scratch(directory) as sandbox:
        noop.write(Path(sandbox.lowers[0]) / "nothing")
        ended = engine.start(sandbox, Command(("/nothing",), timeout=_PATIENCE)).wait()
    if ended is None or not ended.ok:
        raise SandboxError(f"trying the engine {engine.name}", f"it ended with {ended}")


@contextlib.contextmanager
def _scratch(directory: Path) -> Iterator[Sandbox]:
    """Give a sandbox with an empty root in a directory that goes away."""
    try:
        scratch = Path(tempfile.mkdtemp(prefix="probe-", dir=directory))
    except OSError as error:
        raise HostError(f"cannot write to {directory}: {error.strerror}") from error
    try:
        for name in ("lower", "upper"):
            (scratch / name).mkdir()
        yield Sandbox(lowers=(scratch / "lower",), upper=scratch / "upper")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _try(sandbox: Sandbox) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        try:
            pid, pidfd = processes.clone(processes.CLONE_NEWPID)
        except OSError as error:
            raise _explained("entering new namespaces", str(error.strerror), error.errno) from error
        if pid == 0:
            native.rehearse(wire.Request(sandbox, Command(("true",))), theirs)
        theirs.close()
        report, _ = wire.receive(ours)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        os.waitpid(pid, 0)
    if report is None:
        raise SandboxError("trying a sandbox", "it ended without a word")
    if "error" in report:
        said = reported(report, "trying a sandbox")
        raise _explained(said.step, said.message, said.errno, said.todo)


def _explained(
    step: str, message: str, number: int | None, advice: str | None = None
) -> SandboxError:
    if number in (errno.EPERM, errno.EACCES):
        advice = _ADVICE.get(step, advice)
    elif number == errno.ENOSPC and step == "entering new namespaces":
        message = "there may be no more of them here"  # the kernel says: no space left on device
        advice = f"raise {_exhausted()}"
    elif number == errno.EINVAL and step == "putting /dev and /proc together":
        advice = "in a chroot, make its directory a mount point before: mount --rbind DIR DIR"
    elif number == errno.ENOSYS:
        advice = "use Linux 5.12 or newer, or a container whose seccomp profile lets it through"
    return SandboxError(step, message, number or 0, advice)


def _exhausted() -> str:
    """The limits on namespaces that are 0 here, or where all of them are."""
    directory = Path("/proc/sys/user")
    zero = [f for f in directory.glob("max_*_namespaces") if f.read_text().strip() == "0"]
    return ", ".join(map(str, sorted(zero))) or f"{directory}/max_*_namespaces"
