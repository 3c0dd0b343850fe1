"""Attempts to see the host from inside. Each looks for something that the caller has prepared,
because similar things may be the sandbox's own: a virtual machine has its own devices.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import os
import pwd
import socket
import stat
import struct
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .probe_rights import in_child, node

Request = dict[str, Any]
Answer = tuple[bool | None, str]

_PROC = Path("/proc")
_USUAL_DEVICES = {"null", "zero", "full", "random", "urandom", "tty", "ptmx", "console"}
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_SEARCH = 10
_SECONDS_APART = 3.0  # allows for adjusted clocks
_OF_SYSFS = ("block", "bus", "class", "dev", "devices", "firmware", "kernel", "module", "power")
_SIOCGIFHWADDR = 0x8927
_GIVEN = {0, 1, 2, 3, 64}  # the caller's descriptors, and that of the channel


def host_files(request: Request) -> Answer:
    """A file outside of the root, by its name and through other processes and descriptors."""
    name = request["marker"]
    places = [Path("/")]
    for process in _PROC.glob("[0-9]*"):
        places += [process / "root", process / "cwd"]
    for descriptor in _descriptors():
        places += [_PROC / f"self/fd/{descriptor}" / ("../" * depth) for depth in (0, 3, 9)]
    for place in places:
        with contextlib.suppress(OSError):
            if (place / name.lstrip("/")).read_text() == request["token"]:
                return True, f"read through {place}"

    climbed, said = _climbed_to(name)
    return climbed, "by a second chroot" if climbed else f"not in {len(places)} places; {said}"


def host_processes(request: Request) -> Answer:
    """A process that the caller started outside, recognised by its command line."""
    seen = list(_PROC.glob("[0-9]*"))
    for process in seen:
        if request["process"].encode() in _read(process / "cmdline"):
            return True, f"pid {process.name} of {len(seen)}"
    first = _read(_PROC / "1/cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
    return False, f"{len(seen)} processes, the first is {first[:60]!r}"


def command_lines(request: Request) -> Answer:
    """Paths of the host in the command lines and environments that /proc shows."""
    for process in _PROC.glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            if request["token"].encode() in _read(process / name):
                command = _read(process / "comm").decode(errors="replace").strip()
                return True, f"{name} of pid {process.name} ({command})"
    return False, ""


def descriptors(_: Request) -> Answer:
    """Descriptors that were inherited unintentionally."""
    extra = {fd: _target(fd) for fd in _descriptors() if fd not in _GIVEN}
    return bool(extra), ", ".join(f"{fd}: {target}" for fd, target in extra.items())


def writable_files(_: Request) -> Answer:
    """Descriptors that are open for writing to a file, which would be a file of the host."""
    found = []
    for fd in _descriptors():
        info = os.fstat(fd)
        writable = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        if writable and (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
            found.append(
                f"{fd}: {_target(fd)} of {info.st_uid}, mode {stat.S_IMODE(info.st_mode):o}"
            )
    return bool(found), ", ".join(found)


def interfaces(request: Request) -> Answer:
    """Network interfaces with the hardware address of one of the host."""
    own = [name for _, name in socket.if_nameindex()]
    if not request["interfaces"]:
        return None, f"the host has only its loopback; here: {', '.join(own)}"
    both = [name for name in own if _address(name) in request["interfaces"].values()]
    return bool(both), ", ".join(both or own)


def loopback(request: Request) -> Answer:
    """A port at 127.0.0.1 on which the caller listens."""
    try:
        socket.create_connection(("127.0.0.1", request["port"]), timeout=2).close()
    except OSError as error:
        return False, str(error.strerror or error)
    return True, f"connected to port {request['port']}"


def abstract_sockets(request: Request) -> Answer:
    """An abstract unix socket on which the caller listens (unix(7))."""
    with socket.socket(socket.AF_UNIX) as sock:
        try:
            sock.connect("\0" + request["socket"])
        except OSError as error:
            return False, str(error.strerror)
    return True, "connected"


def vsock(request: Request) -> Answer:
    """Sockets between a virtual machine and its host; network namespaces do not isolate them."""
    if not request["vsock"]:
        return None, "the caller's kernel has none"
    if not _same_kernel(request):
        return False, "of another kernel"
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError as error:
        return False, str(error.strerror)
    return True, "created one"


def hostname(request: Request) -> Answer:
    """The host's name or its NIS domain."""
    names = (socket.gethostname(), _read(_PROC / "sys/kernel/domainname").decode().strip())
    both = [name for name, host in zip(names, request["names"], strict=True) if name == host]
    return bool(both), " ".join(both or names)


def sysv(request: Request) -> Answer:
    """A shared memory segment (shmget(2)) of the caller."""
    return _found(request["segment"], lambda libc, key: libc.shmget(key, ctypes.c_size_t(0), 0))


def mqueue(request: Request) -> Answer:
    """A POSIX message queue (mq_overview(7)) of the caller."""
    return _found(request["queue"], lambda libc, name: libc.mq_open(name.encode(), os.O_RDONLY))


def keyring(request: Request) -> Answer:
    """A key of the caller, in any accessible keyring (keyrings(7))."""
    if not (name := request["key"]):
        return None, "the caller could not make a key"
    if name.encode() in _read(_PROC / "keys"):
        return True, "/proc/keys lists it"
    libc = ctypes.CDLL(None, use_errno=True)
    number = ctypes.c_long(_KEYCTL[os.uname().machine])
    for ring in range(-8, 0):
        arguments = (ctypes.c_long(ring), b"user", name.encode(), 0)
        if libc.syscall(number, ctypes.c_long(_KEYCTL_SEARCH), *arguments) >= 0:
            return True, f"found through keyring {ring}"
    return False, os.strerror(ctypes.get_errno())


def kernel(request: Request) -> Answer:
    """Whether this is the host's kernel."""
    return _same_kernel(request), os.uname().release


def kernel_arguments(request: Request) -> Answer:
    """The command line of the host's kernel."""
    own = _read(_PROC / "cmdline")
    if not request["kernel_arguments"]:
        return None, "the caller cannot read them"
    return own.decode(errors="replace") == request["kernel_arguments"], f"{len(own)} bytes"


def kernel_log(request: Request) -> Answer:
    """The kernel's log, which dmesg(1) reads (syslog(2))."""
    if not request["kernel_log"]:
        return None, "the caller cannot read it"
    if not _same_kernel(request):
        return False, "of another kernel"
    read = ctypes.CDLL(None, use_errno=True).klogctl(3, ctypes.create_string_buffer(100), 100)
    return read > 0, "" if read > 0 else os.strerror(ctypes.get_errno())


def sys_tree(request: Request) -> Answer:
    """The host's /sys: its devices, modules, settings."""
    names = [name for name in _OF_SYSFS if any(Path("/sys", name).glob("*"))]
    if names and not _same_kernel(request):
        return False, "of another kernel"
    return bool(names), ", ".join(names)


def environment(request: Request) -> Answer:
    """An environment variable of the caller."""
    own = [name for name in os.environ if name == request["variable"]]
    return bool(own), ", ".join(own) or f"{len(os.environ)} variables"


def users(request: Request) -> Answer:
    """Users of the host that the root does not have."""
    known = {entry.pw_name for entry in pwd.getpwall()} & set(request["users"])
    if known:
        return True, ", ".join(sorted(known))
    if not request["users"] and _digest("/etc/passwd") != request["etc"]["/etc/passwd"]["own"]:
        return None, "every user of the host is also in the root"
    return False, f"{len(pwd.getpwall())} users, all of the root"


def time_zone(request: Request) -> Answer:
    """The time zone of the caller's TZ, or of the host's files."""
    if request["zone"] in time.tzname:
        return True, "the caller's TZ"
    return _files_of_host(request, "time")


def locale(request: Request) -> Answer:
    """The caller's language."""
    own = {k: v for k, v in os.environ.items() if k == "LANG" or k.startswith("LC_")}
    told = " ".join(f"{name}={value}" for name, value in sorted(own.items()))
    return request["locale"] in own.values(), told or "none is set"


def etc(request: Request) -> Answer:
    """Files of the host that an engine puts into the root: resolv.conf, hosts, machine-id."""
    return _files_of_host(request, "etc")


def mounts(request: Request) -> Answer:
    """A mount of the caller."""
    lines = _lines(_PROC / "self/mountinfo")
    both = [line for line in lines if request["mount"] in line]
    return bool(both), both[0] if both else f"{len(lines)} mounts"


def mount_paths(request: Request) -> Answer:
    """Paths of the host in the mount table: sources of binds, options of an overlay."""
    for line in _lines(_PROC / "self/mountinfo"):
        if request["token"] in line and request["mount"] not in line:
            root, point = line.split()[3:5]
            return True, f"{root} on {point}" if request["token"] in root else f"options of {point}"
    return False, ""


def cgroup(_: Request) -> Answer:
    """The path of this process in the host's control groups."""
    places = {line.split(":", 2)[2] for line in _lines(_PROC / "self/cgroup")} - {"/"}
    return bool(places), ", ".join(sorted(places)[:3])


def devices(request: Request) -> Answer:
    """Device nodes other than those that every program expects."""
    extra = []
    for directory, _, names in os.walk("/dev"):
        for name in names:
            path = Path(directory, name)
            with contextlib.suppress(OSError):
                mode = path.lstat().st_mode
                if (stat.S_ISCHR(mode) or stat.S_ISBLK(mode)) and "pts" not in path.parts:
                    extra.append(str(path.relative_to("/dev")))
    extra = sorted(set(extra) - _USUAL_DEVICES)
    if extra and not _same_kernel(request):
        return False, f"{len(extra)} of another kernel"
    return bool(extra), f"{len(extra)}: {', '.join(extra)}" if extra else ""


def disk(request: Request) -> Answer:
    """The host's disk, read through a device node made here."""
    if request["disk"] is None:
        return None, "the host's root is not on a disk"
    if not _same_kernel(request):
        return False, "the device number is of another kernel"
    return node(stat.S_IFBLK, *request["disk"])


def _climbed_to(name: str) -> Answer:
    """Try to leave a chroot(2): enter a deeper one with a working directory outside of it."""

    def climb() -> None:
        os.chroot(deeper)
        for _ in range(64):
            os.chdir("..")
        os.chroot(".")
        Path(name).stat()

    deeper = tempfile.mkdtemp()
    os.chdir("/")
    try:
        return in_child(climb)
    finally:
        Path(deeper).rmdir()


def _address(interface: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        told = fcntl.ioctl(sock, _SIOCGIFHWADDR, struct.pack("256s", interface.encode()))
    return ":".join(f"{byte:02x}" for byte in told[18:24])


def _same_kernel(request: Request) -> bool:
    """Whether build and boot time are the same. Not the boot ID: nspawn replaces it."""
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    same = abs(started - request["started"]) < _SECONDS_APART
    return bool(same and list(os.uname())[2:] == request["built"])


def _files_of_host(request: Request, kind: str) -> Answer:
    """Whether files differ from the root's and equal the host's; names those that equal neither."""
    hosts: list[str] = []
    changed: list[str] = []
    for path, known in request["etc"].items():
        own = _digest(path)
        if known["kind"] != kind or own == known["own"]:
            continue
        (hosts if own == known["host"] else changed).append(path)
    if hosts:
        return True, ", ".join(hosts)
    return False, f"written by the engine: {', '.join(changed)}" if changed else ""


def _digest(path: str) -> str | None:
    """The digest of a file or the target of a link, as `probing.traps` computes it."""
    try:
        if Path(path).is_symlink():
            return str(Path(path).readlink())
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return None


def _found(subject: Any, call: Any) -> Answer:
    """Whether a function of libc finds what the caller has made."""
    if not subject:
        return None, "the caller could not make one"
    if call(ctypes.CDLL(None, use_errno=True), subject) >= 0:
        return True, ""
    return False, os.strerror(ctypes.get_errno())


def _descriptors() -> Iterator[int]:
    for path in list((_PROC / "self/fd").iterdir()):
        with contextlib.suppress(OSError):
            os.fstat(int(path.name))  # not the descriptor of the listing itself
            yield int(path.name)


def _target(descriptor: int) -> str:
    try:
        return str((_PROC / f"self/fd/{descriptor}").readlink())
    except OSError as error:
        return str(error.strerror)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _lines(path: Path) -> list[str]:
    return _read(path).decode(errors="replace").splitlines()


ATTEMPTS = {
    "files": host_files,
    "processes": host_processes,
    "command-lines": command_lines,
    "descriptors": descriptors,
    "host-files": writable_files,
    "interfaces": interfaces,
    "loopback": loopback,
    "abstract-sockets": abstract_sockets,
    "vsock": vsock,
    "hostname": hostname,
    "sysv": sysv,
    "mqueue": mqueue,
    "keyring": keyring,
    "sys": sys_tree,
    "devices": devices,
    "disk": disk,
    "environment": environment,
    "users": users,
    "etc": etc,
    "time-zone": time_zone,
    "locale": locale,
    "mounts": mounts,
    "mount-paths": mount_paths,
    "cgroup": cgroup,
    "kernel-arguments": kernel_arguments,
    "kernel-log": kernel_log,
    "kernel": kernel,
}
