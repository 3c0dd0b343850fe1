"""Attempts to use rights that packages, their tests and Portage itself may need."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import socket
import stat
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

Request = dict[str, Any]
Answer = tuple[bool | None, str]

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_REC, _MS_SLAVE = 0x4000, 1 << 19
_NOBODY = 65534
_PORTAGE = 250  # uid and gid of Gentoo's user portage (acct-user/portage)
_CAP_CHOWN = 1
_STEP = 97  # between the IDs that are tried
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_PTRACE_TRACEME, _PTRACE_CONT = 0, 7


def write(_: Request) -> Answer:
    """Write into the root."""
    with _scratch() as directory:
        (directory / "file").write_text("x")
    return True, ""


def setuid(_: Request) -> Answer:
    """Run a program with the setuid bit: another user gets the rights of its owner."""
    with _scratch() as directory:
        program = directory / "id"
        shutil.copyfile("/usr/bin/id", program)
        os.chown(program, _PORTAGE, 0)
        program.chmod(0o4755)
        told = _as_nobody((str(program), "-u"))
    return told == str(_PORTAGE), f"uid {told}"


def capabilities(_: Request) -> Answer:
    """Run a program with a file capability (capabilities(7))."""
    with _scratch() as directory:
        program = directory / "cat"
        shutil.copyfile("/usr/bin/cat", program)
        program.chmod(0o755)
        # struct vfs_cap_data, revision 2, effective: linux/capability.h
        value = struct.pack("<5I", 0x02000001, _CAP_CHOWN, 0, 0, 0)
        os.setxattr(program, "security.capability", value)
        told = _as_nobody((str(program), "/proc/self/status"))
    (line,) = (line for line in told.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16) == _CAP_CHOWN, line


def chown(_: Request) -> Answer:
    """Change the owner of a file to IDs from 0 to 65,535."""
    wanted = [*range(0, 65536, _STEP), 65534, 65535]
    with _scratch() as directory:
        path = directory / "file"
        path.touch()
        for number in wanted:
            os.chown(path, number, number)
            state = path.stat()
            if (state.st_uid, state.st_gid) != (number, number):
                return False, f"{number} became {state.st_uid}:{state.st_gid}"
    return True, f"{len(wanted)} IDs between 0 and 65535"


def xattrs(_: Request) -> Answer:
    """Set and read a ``user.*`` extended attribute of a file."""
    with _scratch() as directory:
        path = directory / "file"
        path.touch()
        os.setxattr(path, "user.probe", b"x")
        return os.getxattr(path, "user.probe") == b"x", ""


def mknod(_: Request) -> Answer:
    """Make a device node (null) and open it."""
    return node(stat.S_IFCHR, 1, 3)


def node(kind: int, major: int, minor: int) -> Answer:
    """Make a device node in any of several directories, and open it."""
    said = {}
    for parent in ("/", "/dev", "/dev/shm", "/run"):  # noqa: S108
        path = Path(tempfile.mktemp(prefix="probe-node-", dir=parent))  # noqa: S306
        try:
            os.mknod(path, kind | 0o600, os.makedev(major, minor))
        except OSError as error:
            said[parent] = f"not made: {error.strerror}"
            continue
        try:
            os.close(os.open(path, os.O_RDONLY))
        except OSError as error:
            said[parent] = f"made, not opened: {error.strerror}"
        else:
            return True, f"in {parent}"
        finally:
            path.unlink()
    return False, ", ".join(f"{parent} {words}" for parent, words in said.items())


def ptrace(_: Request) -> Answer:
    """Trace a child process, as debuggers and some tests do."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.fork()
    if pid == 0:
        if libc.ptrace(_PTRACE_TRACEME, 0, None, None) == -1:
            os._exit(ctypes.get_errno())
        os.execv("/bin/true", ("true",))  # noqa: S606 - stops at the exec when it is traced
    ended = os.waitpid(pid, os.WUNTRACED)[1]
    stopped = os.WIFSTOPPED(ended)
    if stopped:
        libc.ptrace(_PTRACE_CONT, pid, None, None)
        os.waitpid(pid, 0)
    return stopped, "" if stopped else os.strerror(os.waitstatus_to_exitcode(ended))


def families(_: Request) -> Answer:
    """Resolve localhost to IPv4 and IPv6 with AI_ADDRCONFIG, which needs configured addresses.

    This works under Portage's network-sandbox; getaddrinfo(3) ignores loopback addresses.
    """
    found = []
    with _hosts():
        for family in (socket.AF_INET, socket.AF_INET6):
            with contextlib.suppress(socket.gaierror):
                answers = socket.getaddrinfo(
                    "localhost", 80, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
                )
                found.append(str(answers[0][4][0]))
    return len(found) == 2, ", ".join(found) or "neither"


@contextlib.contextmanager
def _hosts() -> Iterator[None]:
    """Provide an /etc/hosts if the root has none."""
    place = Path("/etc/hosts")
    if place.exists():
        yield
        return
    place.write_text("127.0.0.1 localhost\n::1 localhost\n")
    try:
        yield
    finally:
        place.unlink()


def network_sandbox(_: Request) -> Answer:
    """Portage's FEATURES=network-sandbox: a network and a host name of its own."""

    def alone() -> None:
        _unshare(CLONE_NEWNET | CLONE_NEWUTS)
        socket.sethostname("localhost")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))

    return in_child(alone)


def ipc_sandbox(_: Request) -> Answer:
    """Portage's FEATURES=ipc-sandbox."""
    return in_child(lambda: _unshare(CLONE_NEWIPC))


def mount_sandbox(_: Request) -> Answer:
    """Portage's FEATURES=mount-sandbox."""

    def alone() -> None:
        _unshare(CLONE_NEWNS)
        _mount(None, "/", None, _MS_REC | _MS_SLAVE)

    return in_child(alone)


def pid_sandbox(_: Request) -> Answer:
    """Portage's FEATURES=pid-sandbox: processes of its own, with a /proc that shows no others."""

    def alone() -> None:
        _unshare(CLONE_NEWPID | CLONE_NEWNS)
        yes, detail = in_child(first)
        if not yes:
            raise OSError(0, detail)

    def first() -> None:
        if os.getpid() != 1:
            raise OSError(0, f"pid {os.getpid()}")
        _mount(None, "/proc", None, _MS_SLAVE)
        _mount("proc", "/proc", "proc", 0)

    return in_child(alone)


def user_namespaces(_: Request) -> Answer:
    """Make a user namespace, as browsers and tests of sandboxes do."""
    return in_child(lambda: _unshare(CLONE_NEWUSER))


def userpriv(request: Request) -> Answer:
    """Portage's FEATURES=userpriv: phases run as the user portage, in a directory of that user."""

    def alone() -> None:
        os.setgroups([_PORTAGE])
        os.setgid(_PORTAGE)
        os.setuid(_PORTAGE)
        (directory / "file").write_text("x")
        try:
            Path("/etc/written-by-portage").touch()
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EROFS, errno.EPERM):
                raise
        else:
            raise OSError(0, "it writes to /etc")

    directory = Path(tempfile.mkdtemp(dir=request["work"]))
    os.chown(directory, _PORTAGE, _PORTAGE)
    try:
        return in_child(alone)
    finally:
        shutil.rmtree(directory)


def in_child(action: Callable[[], object]) -> Answer:
    """Run an action in a child process; whether it succeeded, and the error."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except OSError as error:
            os.write(writer, str(error.strerror).encode()[:200])
        except BaseException as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode()[:200])
        finally:
            sys.stdout.flush()
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader) as stream:
        said = stream.read()
    _, status = os.waitpid(pid, 0)
    return status == 0, said


def _as_nobody(argv: tuple[str, ...]) -> str:
    """Run a program as an unprivileged user; return its output."""
    reader, writer = os.pipe()

    def alone() -> NoReturn:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
        os.dup2(writer, 1)
        os.execv(argv[0], argv)  # noqa: S606

    yes, detail = in_child(alone)
    os.close(writer)
    with os.fdopen(reader) as stream:
        told = stream.read().strip()
    if not yes:
        raise OSError(0, detail or told)
    return told


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A directory in the root itself, not in a tmpfs of the sandbox, that all users may enter."""
    directory = Path(tempfile.mkdtemp(prefix="probe-", dir="/"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    _check(libc.unshare(flags), "unshare")


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    plain = [word.encode() if word is not None else None for word in (source, target, kind)]
    _check(libc.mount(*plain, ctypes.c_ulong(flags), None), "mount")


def _check(result: int, name: str) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


ATTEMPTS = {
    "write": write,
    "setuid": setuid,
    "capabilities": capabilities,
    "chown": chown,
    "xattrs": xattrs,
    "mknod": mknod,
    "ptrace": ptrace,
    "userpriv": userpriv,
    "families": families,
    "network-sandbox": network_sandbox,
    "ipc-sandbox": ipc_sandbox,
    "pid-sandbox": pid_sandbox,
    "mount-sandbox": mount_sandbox,
    "user-namespaces": user_namespaces,
}
