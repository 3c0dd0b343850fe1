"""The first process of a sandbox: prepares everything, starts the command, and reaps.

It is pid 1 of the sandbox's pid namespace, so the kernel ends all others when it ends, and it ends
when the command's own process does. It enforces the time limit itself, out of the command's reach:
pid 1 takes no signals from inside, and has no more rights than the command.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from cloche.engines import cgroups, inherited, wire
from cloche.engines.assembly import Mount, assemble, common_mounts, step
from cloche.engines.base import Command
from cloche.errors import ClocheError
from cloche.linux import processes, seccomp

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


def run(requests: socket.socket, launcher: int, *, network: bool) -> NoReturn:
    """Be a sandbox: make ready what all have in common, wait for the request, carry it out.

    The request comes as descriptors: itself, report channel, 0, 1, 2, and the extra ones.
    ``launcher`` is a pidfd of the launcher, in whose death this process follows.
    """
    channel: socket.socket | None = None
    try:
        _forbid_imports()
        _follow(launcher)
        processes.close_all_but([requests.fileno()])
        common: list[Mount] | None = None
        with contextlib.suppress(ClocheError):  # is tried once more when somebody is there to hear
            common = make_ready(network=network)
        _, (request_fd, channel_fd, *streams) = wire.receive(requests)
        requests.close()
        channel = socket.socket(fileno=channel_fd)
        request = wire.unpack(request_fd)
        if common is None:
            _separate()  # where the host's mount namespace is not ours to mount in
            common = make_ready(network=network)
        prepare(request, common)
        master, slave = _terminal(streams[1]) if request.command.tty else (-1, -1)
        main = _start(request, [slave] * 3 if request.command.tty else streams, streams[3:])
        wire.send(channel, {"started": main}, [master] if request.command.tty else [])
        processes.close_all_but([channel.fileno()])
        wire.send(channel, _reap(main, request.command.timeout))
    except BaseException as error:
        if channel is not None:
            wire.send(channel, _failure(error))
    finally:
        os._exit(0)


def rehearse(request: wire.Request, channel: socket.socket) -> NoReturn:
    """Prepare a sandbox, report how that went, and end."""
    try:
        _forbid_imports()
        _separate()
        prepare(request, make_ready(network=request.sandbox.network))
        wire.send(channel, {})
    except BaseException as error:
        wire.send(channel, _failure(error))
    finally:
        os._exit(0)


def _failure(error: BaseException) -> dict[str, Any]:
    if not isinstance(error, ClocheError):
        return {"error": "bug", "what": f"{type(error).__name__}: {error}"}
    plain = [arg if isinstance(arg, int | str | None) else str(arg) for arg in error.args]
    return {"error": type(error).__name__, "what": error.what, "todo": error.todo, "args": plain}


def _forbid_imports() -> None:
    """Let no module be loaded any more: after the pivot it would come from the untrusted root."""
    sys.meta_path.clear()
    sys.path.clear()


def _follow(launcher: int) -> None:
    """Die with the launcher; take signals as a fresh process does, with SIGCHLD kept waiting."""
    os.setsid()
    processes.forget_command_line(b"cloche-sandbox")
    processes.die_with_parent(signal.SIGKILL)
    if select.select([launcher], [], [], 0)[0]:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGCHLD])
    for number in (signal.SIGINT, signal.SIGCHLD):  # the launcher has reset the others
        signal.signal(number, signal.SIG_DFL)


def make_ready(*, network: bool) -> list[Mount]:
    """Do for a sandbox what needs no knowledge of it; return the mounts that all sandboxes have.

    Not the mount namespace: mounts that the host makes until the request comes must be seen.
    """
    with step("leaving what the host has set"):
        inherited.reset()
    with step("entering new namespaces"):
        processes.unshare(processes.CLONE_NEWIPC | (0 if network else processes.CLONE_NEWNET))
    if not network:
        with step("switching on the loopback device"):
            processes.loopback_up()
    with contextlib.suppress(OSError):  # kernels without keyrings, or without seccomp
        processes.new_session_keyring()
        seccomp.forbid_keyrings()
    return common_mounts()


def prepare(request: wire.Request, common: list[Mount]) -> None:
    """Turn a process that is ready into the first one of the sandbox that was asked for."""
    cgroups.join(request.cgroups)
    _separate()
    with step("setting the host name"):
        socket.sethostname(request.sandbox.hostname)
    assemble(request.sandbox, common)
    with step("setting limits"):
        inherited.limit(request.sandbox.limits)
    with step("dropping capabilities"):
        processes.keep_only_capabilities([processes.CAPABILITIES[name] for name in _KEPT])
        processes.hide_from_ptrace()


def _separate() -> None:
    with step("entering new namespaces"):
        processes.unshare(
            processes.CLONE_NEWNS | processes.CLONE_NEWUTS | processes.CLONE_NEWCGROUP
        )


def _start(request: wire.Request, streams: Sequence[int], extra: Sequence[int]) -> int:
    """Start the command; return its pid once it has executed its program.

    With posix_spawn, which borrows this process's memory until the exec, as copying the page tables
    of a Python takes longer than all of the exec. What it cannot set for the new process, this one
    takes on itself and passes on.
    """
    command = request.command
    actions = _placed((*streams[:3], *extra), (0, 1, 2, *request.fds))
    if command.tty:  # the first terminal that the leader of a session opens becomes its own
        actions.append((os.POSIX_SPAWN_OPEN, 0, os.ttyname(streams[0]), os.O_RDWR, 0))
    with _started(f"entering the directory {command.cwd}"):
        os.chdir(command.cwd)
    with _started(f"executing {command.argv[0]}"):
        return os.posix_spawn(
            _program(command),
            command.argv,
            dict(command.env),
            file_actions=actions,
            setsid=True,
            setsigmask=(),
        )


def _terminal(like: int) -> tuple[int, int]:
    """Open a terminal, as large from the start as the caller's: programs ask once, at their own."""
    master, slave = os.openpty()
    with contextlib.suppress(termios.error):
        termios.tcsetwinsize(slave, termios.tcgetwinsize(like))
    return master, slave


def _program(command: Command) -> str:
    """Find a program as execvp(3) does, in the PATH of its own environment."""
    name = command.argv[0]
    if "/" in name:
        return name
    for directory in os.get_exec_path(command.env):
        if os.access(path := f"{directory or '.'}/{name}", os.X_OK):
            return path
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))


def _placed(fds: Sequence[int], numbers: Sequence[int]) -> list[tuple[Any, ...]]:
    """Give each descriptor its number in the command, out of each other's way."""
    free = max(numbers) + 1
    moved = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, free) for fd in fds]
    return [(os.POSIX_SPAWN_DUP2, fd, number) for fd, number in zip(moved, numbers, strict=True)]


@contextlib.contextmanager
def _started(doing: str) -> Iterator[None]:
    """Say of a failure what was being done for the command."""
    try:
        yield
    except OSError as error:
        raise _NotStartedError(doing, str(error.strerror), error.errno or 0) from error


class _NotStartedError(ClocheError):
    """Carries step, message and errno to the host, where it becomes ProgramError."""


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
