"""Traps: what the caller leaves on the host for the battery to look for inside of sandboxes.

The process that sets them enters new namespaces first, so that all of them end with it; only the
key in the user's keyring has to be removed, or expires after some minutes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import secrets
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.linux import mounts, processes, traces
from cloche.probing.roots import Root
from cloche.roots import overlay

KEY_SECONDS = 1800
_ETC = {
    "/etc/passwd": "users",
    "/etc/localtime": "time",
    "/etc/timezone": "time",
    "/etc/resolv.conf": "etc",
    "/etc/hosts": "etc",
    "/etc/hostname": "etc",
    "/etc/machine-id": "etc",
    "/etc/mtab": "etc",
}


@dataclass(frozen=True, slots=True)
class Planted:
    """``directory`` is the caller's, with the token in its name; ``request`` is for the guest."""

    directory: Path
    request: dict[str, Any]


@contextlib.contextmanager
def planted(parent: Path, find_root: Callable[[Path], Root]) -> Iterator[tuple[Planted, Root]]:
    """Set all traps below ``parent`` and make the root; remove everything afterwards.

    Call it before an engine is made, in a process with one thread: it changes to new UTS, mount and
    IPC namespaces.
    """
    token = secrets.token_hex(6)
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f"probe-{token}-", dir=parent)
        )
        place = Path(directory)
        place.chmod(0o755)
        root = find_root(place)
        _leave(f"outside-{token}")
        request = {
            "token": token,
            **_files(stack, place, token),
            **_process(stack),
            **_sockets(stack, token),
            **_ipc(stack, token),
            **_environment(stack, token),
            **_known(root),
            "key": _key(stack, f"cloche-{secrets.token_hex(6)}"),
            "names": [socket.gethostname(), _text("/proc/sys/kernel/domainname")],
        }
        yield Planted(place, request), root


def digest(path: Path) -> str | None:
    """The target of a link, or the SHA-256 of a file's content; None for anything else."""
    try:
        if path.is_symlink():
            return str(path.readlink())
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _leave(name: str) -> None:
    """Enter new namespaces for the traps, and set a unique host name."""
    processes.unshare(processes.CLONE_NEWNS | processes.CLONE_NEWUTS | processes.CLONE_NEWIPC)
    mounts.make_private()
    processes.set_names(name, name)


def _files(stack: contextlib.ExitStack, place: Path, token: str) -> dict[str, Any]:
    """A file, and a mount whose path does not contain the token."""
    marker = place / "outside"
    marker.write_text(token)
    mount = f"/{secrets.token_hex(6)}"
    point = Path(tempfile.mkdtemp(prefix="mount-", dir=place)) / mount.lstrip("/")
    point.mkdir()
    fd = overlay.tmpfs("0755")
    mounts.move_mount(fd, point)
    os.close(fd)
    stack.callback(mounts.unmount, point)
    return {"marker": str(marker), "mount": mount}


def _process(stack: contextlib.ExitStack) -> dict[str, Any]:
    """A process with a known word in its command line, which waits until its input is closed."""
    word = f"cloche-{secrets.token_hex(6)}"
    waiting = subprocess.Popen(
        ("/bin/sh", "-c", "read line", word), stdin=subprocess.PIPE, env={}, cwd="/"
    )

    def end() -> None:
        waiting.communicate()

    stack.callback(end)
    return {"process": word}


def _sockets(stack: contextlib.ExitStack, token: str) -> dict[str, Any]:
    name = f"cloche-{token}"
    port = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    abstract = stack.enter_context(socket.socket(socket.AF_UNIX))
    abstract.bind("\0" + name)
    abstract.listen()
    addresses = {}
    for link in Path("/sys/class/net").glob("*"):
        with contextlib.suppress(OSError):
            address = (link / "address").read_text().strip()
            if address.strip("0:"):  # tunnels and the loopback have none
                addresses[link.name] = address
    return {
        "port": port.getsockname()[1],
        "socket": name,
        "interfaces": addresses,
        "vsock": has_vsock(),
    }


def has_vsock() -> bool:
    """Whether this kernel has sockets between virtual machines and their host (vsock(7))."""
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def _ipc(stack: contextlib.ExitStack, token: str) -> dict[str, Any]:
    made: dict[str, Any] = {"segment": None, "queue": None}
    with contextlib.suppress(OSError):
        key = secrets.randbelow(0x7FFFFFFE) + 1
        stack.callback(traces.remove_segment, traces.new_segment(key))
        made["segment"] = key
    with contextlib.suppress(OSError):
        traces.new_queue(f"cloche-{token}")
        stack.callback(traces.remove_queue, f"cloche-{token}")
        made["queue"] = f"/cloche-{token}"
    return made


def _key(stack: contextlib.ExitStack, name: str) -> str | None:
    """A key in the user's and in a new session keyring; None if the kernel refuses it."""
    made = None
    with contextlib.suppress(OSError):
        processes.new_session_keyring()
        traces.link_keyring(traces.USER_KEYRING, traces.SESSION_KEYRING)
        for ring in (traces.SESSION_KEYRING, traces.USER_KEYRING):
            stack.callback(_forget, traces.add_key(name, ring, KEY_SECONDS), ring)
            made = name
    return made


def _forget(ident: int, ring: int) -> None:
    with contextlib.suppress(OSError):  # it may have expired
        traces.remove_key(ident, ring)


def _environment(stack: contextlib.ExitStack, token: str) -> dict[str, Any]:
    """Environment variables with unique values; the old values are restored."""
    zone = "".join(secrets.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(6))
    ours = {
        f"CLOCHE_PROBE_{token.upper()}": "x",
        "TZ": f"{zone}-5:43",
        "LANG": f"xx_{zone}",
        "LC_MESSAGES": f"xx_{zone}",
    }
    before = dict(os.environ)

    def restore() -> None:
        for name in ours:
            os.environ.pop(name)
            if name in before:
                os.environ[name] = before[name]

    os.environ.update(ours)
    stack.callback(restore)
    return {"variable": next(iter(ours)), "zone": zone, "locale": f"xx_{zone}"}


def _known(root: Root) -> dict[str, Any]:
    """Facts of the host that need no trap."""
    own = root.find("/etc/passwd")
    lines = own.read_text(errors="replace").splitlines() if own else []
    names = {line.partition(":")[0] for line in lines}
    device = Path("/").stat().st_dev
    return {
        "users": sorted({entry.pw_name for entry in pwd.getpwall()} - names)[:200],
        "etc": {
            path: {
                "kind": kind,
                "own": digest(place) if (place := root.find(path)) else None,
                "host": digest(Path(path)),
            }
            for path, kind in _ETC.items()
        },
        "disk": [os.major(device), os.minor(device)] if os.major(device) else None,
        "kernel_log": traces.can_read_kernel_log(),
        "started": time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        "built": list(os.uname())[2:],
        "kernel_arguments": Path("/proc/cmdline").read_text(errors="replace"),
    }


def _text(path: str) -> str:
    return Path(path).read_text().strip()
