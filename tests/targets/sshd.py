"""A target that is reached by ssh: a root of its own with an sshd, in namespaces of this host."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import User, cannot

_AT = "/mnt"  # where the namespace has the root: sshd wants all above it to be root's
#: As `unshare` runs it: the root over its layers, what every Linux has, and sshd within.
_START = """\
set -e
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
mount -t overlay -o "userxattr,lowerdir=$1,upperdir=$2/upper,workdir=$2/work" overlay {at}
mkdir -p {at}/proc {at}/dev {at}/sys
mount -t proc proc {at}/proc
mount --rbind /dev {at}/dev
exec "$(command -v sshd)" -D -e -f "$2/sshd_config"
"""
_SERVER = """\
Port {port}
ListenAddress {address}
HostKey {room}/host_key
AuthorizedKeysFile {room}/key.pub
StrictModes no
UsePAM no
PidFile none
PasswordAuthentication no
PermitRootLogin prohibit-password
ChrootDirectory {at}
Subsystem sftp internal-sftp
LogLevel ERROR
"""
_CLIENT = """\
IdentityFile {room}/key
IdentitiesOnly yes
UserKnownHostsFile {room}/known_hosts
GlobalKnownHostsFile none
StrictHostKeyChecking yes
"""


@dataclass(frozen=True)
class SshTarget:
    """A running target. ``stack`` are the layers of its root, what was written there included."""

    address: str
    process: subprocess.Popen[bytes]
    room: Path
    stack: tuple[Path, ...]

    def run(self, script: str) -> str:
        """Run a shell script there, as it would be by ssh."""
        argv = ["nsenter", "-t", str(self.process.pid), "-m", "--", "/bin/sh", "-ec"]
        inside = f"exec chroot {_AT} /bin/sh -ec {shlex.quote(script)}"
        done = subprocess.run([*argv, inside], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def copy(self, source: Path, target: str) -> None:
        """Copy a directory of this host to a missing one there."""
        self.run(f"mkdir -p {Path(target).parent}")
        namespace = ["nsenter", "-t", str(self.process.pid), "-m", "--"]
        subprocess.run([*namespace, "cp", "-r", source, f"{_AT}{target}"], check=True)

    def path_for(self, user: User | None = None) -> str:
        """A PATH with an ssh that has the key, as ``~/.ssh/config`` would have it."""
        home = self.room / "client" if user is None else user.home / f"ssh-{self.room.name}"
        if not home.exists():
            home.mkdir()
            for name in ("key", "known_hosts"):
                shutil.copy2(self.room / name, home / name)
            (home / "config").write_text(_CLIENT.format(room=home))
            ssh = home / "ssh"
            ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {home}/config "$@"\n')
            ssh.chmod(0o755)
            if user is not None:
                user.own(home)
        return f"{home}:{os.environ['PATH']}"

    def stop(self) -> None:
        """End sshd, and all connections."""
        self.process.kill()
        self.process.wait()


@contextmanager
def ssh_target(
    room: Path, lowers: Sequence[Path], *, address: str = "127.0.0.1", within: Sequence[str] = ()
) -> Iterator[SshTarget]:
    """Start a target whose root is made of layers, the bottom first, in an empty directory.

    ``within`` is what enters its network. Its mounts end with it.
    """
    for tool in ("sshd", "ssh-keygen", "unshare", "nsenter"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            cannot(f"{tool}: not installed")
    for name in ("upper", "work"):
        (room / name).mkdir()
    for name in ("key", "host_key"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(room / name)]
        subprocess.run(words, check=True)
    port = _free_port()
    (room / "sshd_config").write_text(_SERVER.format(port=port, address=address, room=room, at=_AT))
    kind, key, *_ = (room / "host_key.pub").read_text().split()
    (room / "known_hosts").write_text(f"[{address}]:{port} {kind} {key}\n")
    above = ":".join(map(str, reversed(lowers)))
    words = ["unshare", "--mount", "sh", "-c", _START.format(at=_AT), "sh", above, str(room)]
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    process = subprocess.Popen([*within, *words], env=environment, stderr=subprocess.PIPE)
    target = SshTarget(f"ssh://root@{address}:{port}", process, room, (*lowers, room / "upper"))
    try:
        _wait(process, address, port, within)
        yield target
    finally:
        target.stop()
        if process.stderr is not None:
            process.stderr.close()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        found: int = sock.getsockname()[1]
    return found


def _wait(process: subprocess.Popen[bytes], address: str, port: int, within: Sequence[str]) -> None:
    for _ in range(200):
        if process.poll() is not None and process.stderr is not None:
            raise AssertionError(f"sshd ended: {process.stderr.read().decode()}")
        try:
            with socket.create_connection((address, port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("sshd does not answer")
