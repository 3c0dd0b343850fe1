"""Namespaces, clone(2), prctl(2), capabilities, descriptors: a process and its end."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloche.linux.calls import check, libc, number, syscall

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_CLONE_PIDFD = 0x1000

#: Signals with which a person or a service manager ends this process.
INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4

_CAPABILITY_VERSION_3 = 0x20080522
_KEYCTL_JOIN_SESSION_KEYRING = 1

CAPABILITIES = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "FOWNER": 3,
    "FSETID": 4,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "SETPCAP": 8,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "SYS_ADMIN": 21,
    "SYS_RESOURCE": 24,
    "AUDIT_WRITE": 29,
    "SETFCAP": 31,
}


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


# PyDLL keeps the interpreter's lock: no Python may run between clone(2) and PyOS_AfterFork.
_held = ctypes.PyDLL(None, use_errno=True)


def has_threads() -> bool:
    """Whether this process has more than one thread, Python's or a library's.

    Such a process cannot enter a user namespace (setns(2)), and its fork may inherit locks that no
    thread will release.
    """
    return len(os.listdir("/proc/self/task")) > 1  # noqa: PTH208 - names are enough


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(fd: int, kind: int = 0) -> None:
    """setns(2)."""
    check(libc.setns(ctypes.c_int(fd), ctypes.c_int(kind)), "setns")


def clone(flags: int) -> tuple[int, int]:
    """Fork into new namespaces; return (pid, pidfd), in the child (0, -1).

    One fork instead of the two that unshare(CLONE_NEWPID) needs, and the parent keeps its own pid
    namespace. For single-threaded processes only. The child does what os.fork's child does.
    """
    pidfd = ctypes.c_int(-1)
    arguments = (
        ctypes.c_long(number("clone")),
        ctypes.c_long(flags | _CLONE_PIDFD | 17),  # 17: SIGCHLD
        None,
        ctypes.byref(pidfd),
        None,
        None,
    )
    _held.PyOS_BeforeFork()
    pid = _held.syscall(*arguments)
    if pid == 0:
        _held.PyOS_AfterFork_Child()
        return 0, -1
    _held.PyOS_AfterFork_Parent()
    check(pid, "clone")
    return pid, pidfd.value


@contextmanager
def uninterrupted() -> Iterator[Callable[[int], None]]:
    """Block terminating signals while this process forks.

    Yields a function for the child to call before it executes a program: it unblocks them, and sets
    the given signal as that of its parent's death. Python runs hooks right after a fork, and drops
    what a signal handler raises in them: a process that was asked to end would go on.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, INTERRUPTS)

    def lift(number: int) -> None:
        die_with_parent(number)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    try:
        yield lift
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def die_with_parent(signal_number: int) -> None:
    """Get ``signal_number`` when the thread that forked this process ends (PR_SET_PDEATHSIG)."""
    _prctl(_PR_SET_PDEATHSIG, signal_number)


def hide_from_ptrace() -> None:
    """Deny other processes of the same uid access to /proc/PID (PR_SET_DUMPABLE 0)."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forget_command_line(name: bytes) -> None:
    """Overwrite this process's arguments and environment in /proc/PID with ``name``.

    The kernel shows the memory in which the program got them (proc_pid_cmdline(5)) to everybody; a
    fork has its own copy. Python's copies stay as they are.
    """
    # comm may hold blanks and brackets: field 3 begins after the last bracket.
    fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    start, environment_end = int(fields[48 - 3]), int(fields[51 - 3])
    if 0 < start < environment_end:
        room = environment_end - start
        ctypes.memset(start, 0, room)
        ctypes.memmove(start, name, min(len(name), room - 1))


def bound_capabilities(kept: Collection[int]) -> None:
    """Drop all other capabilities from the bounding set, for programs executed from now on."""
    for capability in range(64):
        if capability in kept:
            continue
        try:
            _prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == errno.EINVAL:  # past the last one the kernel knows
                break
            raise


def keep_only_capabilities(kept: Collection[int]) -> None:
    """Drop all other capabilities from this process's own sets."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    data = (_CapabilityData * 2)()
    check(libc.capget(ctypes.byref(header), ctypes.byref(data)), "capget")
    for word in range(2):
        mask = sum(1 << (bit % 32) for bit in kept if bit // 32 == word)
        data[word].permitted &= mask
        data[word].effective = data[word].permitted
        data[word].inheritable = 0
    check(libc.capset(ctypes.byref(header), ctypes.byref(data)), "capset")


def effective_capabilities() -> int:
    """Return the effective set of this process as a bit mask."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def close_all_but(kept: Collection[int]) -> None:
    """Close every descriptor that is not in ``kept``."""
    first = 0
    for fd in sorted(set(kept)):
        if fd > first:
            _close_range(first, fd - 1)
        first = fd + 1
    _close_range(first, 0x7FFFFFFF)


def end_session(process: subprocess.Popen[bytes], grace: float) -> None:
    """End a process that was started in a session of its own, with all of its process group.

    They get SIGTERM, and SIGKILL when the process has ended, at the latest after ``grace`` seconds.
    """
    for each in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, each)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace)
    process.wait()


def reset_personality() -> None:
    """Undo setarch(8): another uname, no address space randomisation (personality(2))."""
    check(libc.personality(ctypes.c_ulong(0)), "personality")


def new_session_keyring() -> None:
    """Leave the caller's session keyring for a new, empty one (keyctl(2))."""
    syscall("keyctl", _KEYCTL_JOIN_SESSION_KEYRING, None)


def set_names(host: str, domain: str = "(none)") -> None:
    """Set this UTS namespace's host name and NIS domain; a new namespace inherits both.

    "(none)" is the kernel's own default.
    """
    for name, call in (("sethostname", libc.sethostname), ("setdomainname", libc.setdomainname)):
        raw = (host if name == "sethostname" else domain).encode()
        check(call(raw, ctypes.c_size_t(len(raw))), name)


def _close_range(first: int, last: int) -> None:
    try:
        syscall("close_range", first, last, 0)
    except OSError:  # older than 5.9
        os.closerange(first, min(last, os.sysconf("SC_OPEN_MAX")) + 1)


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    result = libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero)
    check(result, "prctl", str(option))
