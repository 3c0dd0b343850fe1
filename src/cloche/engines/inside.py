"""The first process of a sandbox: prepares everything, starts the command, and reaps.

It is pid 1 of the sandbox's pid namespace, so the kernel ends all others when it ends, and it ends
when the command's own process does. It enforces the time limit itself, out of the command's reach:
pid 1 takes no signals from inside, and has no more rights than the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import select
import signal
import socket
import termios
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from cloche.engines import wire
from cloche.engines.assembly import assemble, step
from cloche.engines.base import Limits, Sandbox
from cloche.errors import ClocheError
from cloche.linux import processes

# What Portage's phases and merges need. Not MKNOD: real devices cannot be made in a user namespace,
# and root's results must not differ from an ordinary user's. Not DAC_READ_SEARCH: with it a real
# root opens files of the host by handle. Not SYS_ADMIN: no mounts, no namespaces.
_KEPT = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "SETFCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "AUDIT_WRITE",
)
_STACK = 8 << 20


def run(descriptors: Sequence[int], launcher: int) -> NoReturn:
    """Be the sandbox: ``descriptors`` are request, report channel, 0, 1, 2, and the extra ones.

    ``launcher`` is a pidfd of the launcher, in whose death this process follows.
    """
    request_fd, channel_fd, *streams = descriptors
    channel = socket.socket(fileno=channel_fd)
    try:
        _follow(launcher)
        processes.close_all_but(descriptors)
        request = wire.unpack(request_fd)
        os.close(request_fd)
        _prepare(request)
        master, slave = os.openpty() if request.command.tty else (-1, -1)
        main = _start(request, [slave] * 3 if request.command.tty else streams, streams[3:])
        wire.send(channel, {"started": main}, [master] if request.command.tty else [])
        for fd in (*streams, master, slave):
            if fd >= 0:
                os.close(fd)
        wire.send(channel, _reap(main, request.command.timeout))
    except ClocheError as error:
        kind = type(error).__name__
        report: dict[str, Any] = {"error": kind, "what": error.what, "todo": error.todo}
        wire.send(channel, report | {"args": list(map(_plain, error.args))})
    except BaseException as error:
        wire.send(channel, {"error": "bug", "what": f"{type(error).__name__}: {error}"})
    finally:
        os._exit(0)


def _plain(value: object) -> object:
    return value if isinstance(value, int | str | None) else str(value)


def _follow(launcher: int) -> None:
    """Die with the launcher; put signals back to how a fresh process has them."""
    processes.die_with_parent(signal.SIGKILL)
    if select.select([launcher], [], [], 0)[0]:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGCHLD])
    for number in signal.valid_signals():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)


def _prepare(request: wire.Request) -> None:
    sandbox = request.sandbox
    os.setsid()
    os.umask(0o022)
    for path in request.cgroups:
        with contextlib.suppress(OSError), open(f"{path}/cgroup.procs", "w") as file:
            file.write("0")
    _separate(sandbox)
    assemble(sandbox)
    with contextlib.suppress(OSError):  # kernels without keyrings have none to leave
        processes.new_session_keyring()
    with step("dropping capabilities"):
        processes.keep_only_capabilities([processes.CAPABILITIES[name] for name in _KEPT])
        processes.hide_from_ptrace()


def _separate(sandbox: Sandbox) -> None:
    """Enter the other namespaces: not in the launcher, so that sandboxes start in parallel."""
    flags = processes.CLONE_NEWNS | processes.CLONE_NEWIPC | processes.CLONE_NEWUTS
    flags |= processes.CLONE_NEWCGROUP
    if not sandbox.network:
        flags |= processes.CLONE_NEWNET
    with step("entering new namespaces"):
        processes.unshare(flags)
    with step("setting the host name"):
        socket.sethostname(sandbox.hostname)
    if not sandbox.network:
        with step("switching on the loopback device"):
            processes.loopback_up()


def _start(request: wire.Request, streams: Sequence[int], extra: Sequence[int]) -> int:
    """Fork the command; return its pid once it has executed its program."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        numbers = (0, 1, 2, *request.fds)
        _execute(request, dict(zip(numbers, (*streams[:3], *extra), strict=True)), write)
    os.close(write)
    with open(read, "rb") as stream:
        said = stream.read()
    if said:
        os.waitpid(pid, 0)
        raise _NotStartedError(*json.loads(said))
    return pid


class _NotStartedError(ClocheError):
    """Carries step, message and errno to the host, where it becomes ProgramError."""


def _execute(request: wire.Request, fds: dict[int, int], failed: int) -> NoReturn:
    """Become the command. Whatever fails is written to ``failed``, which the exec closes."""
    command = request.command
    doing = "preparing the process"
    try:
        os.setsid()
        failed = _place(fds, failed)
        if command.tty:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        _limit(request.sandbox.limits)
        doing = f"entering the directory {command.cwd}"
        os.chdir(command.cwd)
        doing = f"executing {command.argv[0]}"
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execvpe(command.argv[0], command.argv, dict(command.env))  # noqa: S606
    except OSError as error:
        said = [doing, str(error.strerror), error.errno or 0]
    except BaseException as error:
        said = [doing, f"{type(error).__name__}: {error}", 0]
    os.write(failed, json.dumps(said).encode())
    os._exit(127)


def _place(fds: dict[int, int], failed: int) -> int:
    """Give each descriptor its number, out of each other's way; return where ``failed`` went."""
    free = max(fds) + 1
    moved = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, free) for number, fd in fds.items()}
    failed = fcntl.fcntl(failed, fcntl.F_DUPFD_CLOEXEC, free)
    for number, fd in moved.items():
        os.dup2(fd, number, inheritable=True)
    return failed


def _limit(limits: Limits) -> None:
    """Set every limit to what the sandbox says, or to what the host allows if that is less."""
    infinite = resource.RLIM_INFINITY
    wanted: dict[int, int | None] = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: _STACK,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_size,
        resource.RLIMIT_CPU: None,
        resource.RLIMIT_DATA: None,
        resource.RLIMIT_AS: None,
    }
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        aim = infinite if value is None else value
        if hard != infinite:
            aim = hard if aim == infinite else min(aim, hard)
        # A program may raise its own stack, as `ulimit -s` does in some builds.
        resource.setrlimit(kind, (aim, hard if kind == resource.RLIMIT_STACK else aim))


def _reap(main: int, timeout: float | None) -> dict[str, Any]:
    """Collect children until the command ends or its time is up; then end and count the rest."""
    deadline = None if timeout is None else time.monotonic() + timeout
    status: int | None = None
    timed_out = False
    while status is None and not timed_out:
        pid, code, _ = os.wait4(-1, os.WNOHANG)
        if pid == main:
            status = os.waitstatus_to_exitcode(code)
        elif pid == 0 and deadline is None:
            signal.sigwaitinfo([signal.SIGCHLD])
        elif pid == 0 and deadline is not None:
            left = deadline - time.monotonic()
            timed_out = left <= 0
            if not timed_out:
                signal.sigtimedwait([signal.SIGCHLD], left)
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait4(-1, 0)
    if status is None:
        status = -signal.SIGKILL
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "status": status if status >= 0 else 128 - status,
        "timed_out": timed_out,
        "user": used.ru_utime,
        "system": used.ru_stime,
        "rss": used.ru_maxrss * 1024,
    }
