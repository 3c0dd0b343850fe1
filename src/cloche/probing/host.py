"""Checks before any work whether this host can make sandboxes, and what is missing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloche.errors import ClocheError
from cloche.linux import processes
from cloche.sandbox import userns
from cloche.sandbox.base import Command, Engine, Sandbox
from cloche.sandbox.errors import HostError, LauncherError, ProgramError, SandboxError

_PATIENCE = 120  # seconds; a virtual machine without KVM starts slowly
_ADVICE = {
    "entering new namespaces": "start this container with --privileged, or --cap-add SYS_ADMIN "
    "and without a seccomp profile that forbids unshare",
    "making /proc": "start this container with --security-opt unmask=ALL, or --privileged",
}

_BASE = 0x400000
_HEADERS = 64 + 56
# For `_write_noop`: e_machine, and instructions that call exit(0).
_MACHINES = {
    "x86_64": (0x3E, bytes.fromhex("b83c000000 31ff 0f05")),
    "aarch64": (0xB7, bytes.fromhex("000080d2 a80b80d2 010000d4")),
}


def check_ids() -> None:
    """Check that enough user ids are mapped, for stores as well. Raises HostError."""
    ids = userns.mapped_ids(Path("/proc/self/uid_map").read_text())
    if ids < userns.IDS:
        raise HostError(f"only {ids} user ids are mapped here; Gentoo's packages need {userns.IDS}")


def check(engine: Engine, directory: Path) -> None:
    """Make a sandbox whose layers lie in ``directory``, and run a program that does nothing.

    Takes some 10 ms, but for virtual machines. Raises HostError or SandboxError.
    """
    with _scratch(directory) as sandbox:
        known = _write_noop(Path(sandbox.lowers[0]) / "nothing")
        try:
            ended = engine.start(sandbox, Command(("/nothing",), timeout=_PATIENCE)).wait()
        except ProgramError:
            if known:
                raise
            return  # the program is missing in the sandbox, so the sandbox itself works
        except LauncherError:
            raise
        except SandboxError as error:
            raise _explained(error) from error
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


def _explained(error: SandboxError) -> ClocheError:
    """The error with advice, where the kernel's answer to the step shows the cause."""
    namespaces = error.step in ("forking a sandbox", "entering new namespaces")
    advice, message = error.todo, error.message
    if error.errno in (errno.EPERM, errno.EACCES):
        if namespaces and not _may_make_namespaces():
            return HostError("uid 0 cannot make namespaces in this container (CAP_SYS_ADMIN)")
        advice = _ADVICE.get("entering new namespaces" if namespaces else error.step, advice)
    elif error.errno == errno.ENOSPC and namespaces:
        message = "the limit is reached"  # the kernel says: no space left on device
        advice = f"raise {_exhausted()}"
    elif error.errno == errno.EINVAL and error.step == "putting /dev and /proc together":
        advice = "in a chroot, make its directory a mount point first: mount --rbind DIR DIR"
    elif error.errno == errno.ENOSYS:
        advice = "use Linux 5.12 or newer, or a container whose seccomp profile lets it through"
    return SandboxError(error.step, message, error.errno, advice)


def _may_make_namespaces() -> bool:
    """Whether this process may; outside of the user namespace, a broker makes them."""
    own = processes.effective_capabilities() >> processes.CAPABILITIES["SYS_ADMIN"] & 1
    return os.geteuid() != 0 or bool(own)


def _exhausted() -> str:
    """The limits on namespaces that are 0, or the directory of all of them."""
    directory = Path("/proc/sys/user")
    zero = [f for f in directory.glob("max_*_namespaces") if f.read_text().strip() == "0"]
    return ", ".join(map(str, sorted(zero))) or f"{directory}/max_*_namespaces"


def _write_noop(path: Path) -> bool:
    """Write a program that does nothing, for any root: an ELF file (elf(5)) with only exit(0).

    False if there is none for this architecture. Raises OSError.
    """
    machine = os.uname().machine
    if machine not in _MACHINES:
        return False
    number, code = _MACHINES[machine]
    size = _HEADERS + len(code)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)  # 64 bits, least significant byte first
    header = struct.pack(
        "<HHIQQQIHHHHHH", 2, number, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    path.write_bytes(ident + header + load + code)
    path.chmod(0o755)
    return True
