"""A connection to a target: the user's own ssh, run by a process that stays outside.

That process is forked before cloche has threads or enters its user namespace, because ssh looks up
the user's keys and configuration by the user's ID. It keeps one connection open and runs every
command over it. It ends, and ssh with it, when the program that opened it is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO, NoReturn
from urllib.parse import urlsplit

from cloche.errors import ClocheError, Exit
from cloche.linux import processes

_MOST = 1 << 16  # bytes of a request or an answer
_LONGEST = 500  # characters of what ssh said
_SAYS_NOTHING = "tar: Exiting with failure status"  # its last line, after those with the reason
_PATIENCE = 60.0  # seconds until the connection must be there
_NAME = re.compile(r"[\w.][\w.-]*")
_HOST = re.compile(r"[\w.:][\w.:%-]*")
#: What the user's configuration may say otherwise, and must not.
_OPTIONS = (
    *("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4"),
    *("ControlPersist=no", "RemoteCommand=none", "RequestTTY=no", "PermitLocalCommand=no"),
    *("ClearAllForwardings=yes", "ForwardAgent=no", "ForwardX11=no", "LogLevel=ERROR"),
)


@dataclass(frozen=True, slots=True)
class Address:
    """``ssh://[USER@]HOST[:PORT]``; what is left out is as the user's ssh has it."""

    host: str
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port else "")

    @property
    def options(self) -> tuple[str, ...]:
        """The options of ssh that stand for it, without the host."""
        port = ("-p", str(self.port)) if self.port else ()
        return (*port, *(("-l", self.user) if self.user else ()))

    @property
    def command(self) -> str:
        """What a user types to get there."""
        return shlex.join(["ssh", *self.options, self.host])


def parse_address(text: str) -> Address:
    """Read ``ssh://[USER@]HOST[:PORT]``. Raises ClocheError."""
    bad = ClocheError(f"“{text}” is not the address of a target", todo="write ssh://USER@HOST:PORT")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise bad from None
    if parts.scheme != "ssh" or not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise bad
    host = parts.netloc.rpartition("@")[2].partition(":")[0] if ":" not in host else host
    user = parts.username
    if not _HOST.fullmatch(host) or parts.password is not None:
        raise bad
    if user is not None and not _NAME.fullmatch(user):
        raise bad
    return Address(host, user, port)


class Connection:
    """Runs commands on a target; see `opened_connection`. One at a time, from one thread."""

    def __init__(self, address: Address, sock: socket.socket, control: Path) -> None:
        self.address = address
        self.received = 0  # bytes of output, of all commands
        self._sock = sock
        self._control = control

    @property
    def ssh_command(self) -> str:
        """An ssh for other programs that uses this connection."""
        return shlex.join(["ssh", *_over(self._control)])

    def output(self, words: Sequence[str], given: bytes = b"", *, most: int) -> bytes:
        """What a command writes to its standard output. Raises ClocheError.

        ``given`` is its standard input, ``most`` the limit of its output in bytes.
        """
        with self.started(words, given) as stream:
            found = stream.read(most + 1)
            if len(found) > most:
                raise ClocheError(f"more than {most >> 20} MiB of output", where=self.address)
        return found

    @contextmanager
    def started(self, words: Sequence[str], given: bytes = b"") -> Iterator[BinaryIO]:
        """Start a command for a block, which reads its output.

        At the end of the block the command must have ended well. Raises ClocheError.
        """
        reader, writer = os.pipe2(os.O_CLOEXEC)
        with tempfile.TemporaryFile() as file, open(reader, "rb") as stream:
            file.write(given)
            file.seek(0)
            try:
                request = json.dumps({"words": list(words)}).encode()
                socket.send_fds(self._sock, [request], [file.fileno(), writer])
            except OSError as error:
                raise self._gone() from error
            finally:
                os.close(writer)
            try:
                yield _Counted(stream, self)  # type: ignore[misc]
            except BaseException:
                with suppress(OSError):
                    self._sock.send(b"stop")
                self._answer()
                raise
            self._check(words, self._answer())

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._sock.recv(_MOST)
        except OSError:
            answer = b""
        found: dict[str, Any] = json.loads(answer) if answer else {"status": None, "text": ""}
        return found

    def _check(self, words: Sequence[str], answer: dict[str, Any]) -> None:
        status, text = answer["status"], answer["text"]
        if status == 0:
            return
        if status is None:
            raise self._gone()
        if status == 127:
            raise ClocheError(f"no `{words[0]}` there: {text}", where=self.address, todo=_INSTALL)
        what = text or f"`{words[0]}` ended with status {status}"
        if status == 255 or status < 0:
            raise ClocheError(
                f"the connection ended: {what}",
                where=self.address,
                todo=f"try `{self.address.command}`, and run it again",
                status=Exit.FAILED,
            )
        raise ClocheError(what, where=self.address, status=Exit.FAILED)

    def _gone(self) -> ClocheError:
        what = "the process that holds the connection has ended"
        return ClocheError(what, where=self.address, todo="run it again", status=Exit.FAILED)


_INSTALL = "a target needs python3, tar and Portage"


class _Counted:
    """A stream whose bytes are counted."""

    def __init__(self, stream: BinaryIO, connection: Connection) -> None:
        self._stream, self._connection = stream, connection

    def read(self, size: int = -1) -> bytes:
        found = self._stream.read(size)
        self._connection.received += len(found)
        return found


@contextmanager
def opened_connection(address: Address) -> Iterator[Connection]:
    """Connect to a target for a block.

    Call it before cloche enters a user namespace, in a process without threads. Raises ClocheError.
    """
    ssh = shutil.which("ssh")
    if ssh is None:
        raise ClocheError("ssh not found", todo="install OpenSSH's client", status=Exit.HOST)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        ours.close()
        _process(theirs, ssh, address)
    theirs.close()
    try:
        answer = ours.recv(_MOST)
        if not answer:
            raise ClocheError("ssh could not be started", where=address, status=Exit.HOST)
        begun = json.loads(answer)
        if begun["status"] != 0:
            raise _not_connected(address, begun["text"])
        yield Connection(address, ours, Path(begun["control"]))
    finally:
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)  # a fork of this process may have the descriptor, too
        ours.close()
        os.waitpid(child, 0)


def _not_connected(address: Address, text: str) -> ClocheError:
    todo = f"`{address.command} true` must work without a question"
    if "ost key" in text:
        todo = f"run `{address.command}` once, and check the key that it shows"
    what = f"ssh cannot connect: {text or 'no answer'}"
    return ClocheError(what, where=address, todo=todo, status=Exit.FAILED)


# The process outside


def _process(sock: socket.socket, ssh: str, address: Address) -> NoReturn:
    status = 1
    try:
        os.setsid()  # Ctrl-C is for the command line to handle
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with tempfile.TemporaryDirectory(prefix="cloche-ssh-", ignore_cleanup_errors=True) as room:
            _serve(sock, ssh, address, Path(room, "s"))
        status = 0
    finally:
        os._exit(status)


def _serve(sock: socket.socket, ssh: str, address: Address, control: Path) -> None:
    """Connect, say how that went, and run what is asked for until the other side is gone."""
    words = [ssh, *(f"-o{each}" for each in _OPTIONS), *address.options]
    master = [*words, "-oControlMaster=yes", f"-oControlPath={control}", "-N", "--", address.host]
    with _running(master, None, None) as (process, said):
        limit = time.monotonic() + _PATIENCE
        while not control.exists() and process.poll() is None and time.monotonic() < limit:
            if _readable(sock, 0.01):  # the program ended meanwhile
                return
        if not control.exists():
            process.kill()
            process.wait()
            sock.send(json.dumps({"status": 255, "text": _last_line(said)}).encode())
            return
        sock.send(json.dumps({"status": 0, "control": str(control)}).encode())
        words = [ssh, *_over(control), *address.options, "--", address.host]
        while True:
            request, fds, _, _ = socket.recv_fds(sock, _MOST, 2)
            if not request:
                break
            if len(fds) == 2:
                sock.send(json.dumps(_run(sock, words, json.loads(request), fds)).encode())
        process.terminate()


def _over(control: Path) -> list[str]:
    """Options with which ssh uses an open connection."""
    options = (*_OPTIONS, "ControlMaster=no", f"ControlPath={control}")
    return [f"-o{each}" for each in options]


def _run(
    sock: socket.socket, words: list[str], request: dict[str, Any], fds: list[int]
) -> dict[str, Any]:
    """Run one command until it ends, the other side is gone, or says to stop."""
    argv = [*words, shlex.join(request["words"])]
    with _running(argv, *fds) as (process, said):
        for fd in fds:
            os.close(fd)
        pidfd = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            for fd in (sock.fileno(), pidfd):
                poll.register(fd, select.POLLIN)
            if sock.fileno() in dict(poll.poll()) and process.poll() is None:
                sock.recv(_MOST)  # "stop", or the end
                process.kill()
        finally:
            os.close(pidfd)
        return {"status": process.wait(), "text": _last_line(said)}


@contextmanager
def _running(
    argv: Sequence[str], stdin: int | None, stdout: int | None
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Run a program for a block; it ends with this process."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=subprocess.DEVNULL if stdout is None else stdout,
            stderr=said,
            preexec_fn=_die_with_parent,  # this process has no threads
        )
        try:
            yield process, said
        finally:
            process.kill()
            process.wait()


def _die_with_parent() -> None:
    processes.die_with_parent(signal.SIGKILL)


def _readable(sock: socket.socket, seconds: float) -> bool:
    return bool(select.select([sock], [], [], seconds)[0])


def _last_line(said: IO[bytes]) -> str:
    """The last line that a program wrote, in printable characters."""
    with contextlib.suppress(OSError):
        size = said.seek(0, os.SEEK_END)
        said.seek(max(0, size - _MOST // 4))
        lines = said.read().decode(errors="replace").replace("\r", "\n").split("\n")
        if kept := [line.strip() for line in lines if line.strip() and _SAYS_NOTHING not in line]:
            return "".join(c for c in kept[-1] if c.isprintable())[:_LONGEST]
    return ""
