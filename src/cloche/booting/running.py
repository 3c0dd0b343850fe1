"""A QEMU or systemd-nspawn that runs: started in a session of its own, ended with this process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import shutil
import signal
import socket
import subprocess
import tempfile
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloche.booting.command import PROGRAM, Hardware, command
from cloche.booting.errors import BootError, missing_program
from cloche.booting.qmp import Monitor
from cloche.linux import processes

_GRACE = 10.0  # seconds in which QEMU writes what it still holds, and ends
_PREFIX = "cloche-boot-"
_MOMENT = 60.0  # seconds from a directory's making to its lock
_MOST_SAID = 1 << 14  # bytes of a program's own messages that are shown


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest: ``console`` is a socket or terminal to its console, ``monitor`` QEMU's."""

    program: str
    process: subprocess.Popen[bytes]
    console: int
    monitor: Monitor | None
    messages: Path
    stage: Path

    def failed(self) -> bool:
        """Whether its program ended with an error. Asked when the console has ended."""
        try:
            return self.process.wait(_GRACE) != 0
        except subprocess.TimeoutExpired:
            return False

    def said(self) -> str:
        """What the program itself wrote: why it ended."""
        return self.messages.read_bytes()[-_MOST_SAID:].decode(errors="replace")


@contextmanager
def qemu(hardware: Hardware, stage: Path) -> Iterator[Guest]:
    """Run a machine for a block; ``stage`` is a private directory. Raises `BootError`."""
    if shutil.which(PROGRAM) is None:
        packages = "qemu-system-x86 (Debian) or app-emulation/qemu (Gentoo)"
        raise missing_program(PROGRAM, packages)
    if hardware.firmware is not None:
        shutil.copyfile(hardware.firmware.variables, stage / "variables")
    with contextlib.ExitStack() as stack:
        console, its_console = _pair(stack)
        monitor, its_monitor = _pair(stack)
        words = command(hardware, stage, its_console.fileno(), its_monitor.fileno())
        kept = (its_console.fileno(), its_monitor.fileno())
        process = _started(words, stage, kept, subprocess.DEVNULL)
        its_console.close()
        its_monitor.close()
        talk = Monitor(monitor)
        try:
            yield Guest("QEMU", process, console.fileno(), talk, stage / "messages", stage)
        finally:
            _end(process, talk if hardware.keep else None)


@contextmanager
def nspawn(words: Sequence[str], stage: Path) -> Iterator[Guest]:
    """Run systemd-nspawn for a block, on a terminal of its own. Raises `BootError`."""
    console, its_console = pty.openpty()
    try:
        termios.tcsetwinsize(its_console, (25, 80))
        process = _started(words, stage, (), its_console)
        os.close(its_console)
        try:
            yield Guest("systemd-nspawn", process, console, None, stage / "messages", stage)
        finally:
            processes.end_session(process, _GRACE)
    finally:
        os.close(console)


@contextmanager
def private_directory() -> Iterator[Path]:
    """A directory for a run's own files, which is removed at the end.

    What runs that were killed left behind is removed, too: nobody has it locked.
    """
    _sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield Path(name)
        finally:
            os.close(descriptor)


def _sweep(parent: Path) -> None:
    """Remove directories of ours, older than a moment, that no process has locked."""
    for each in parent.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(each, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and status.st_mtime < time.time() - _MOMENT:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(each, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket(socket.AF_INET) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _pair(stack: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    ours, theirs = socket.socketpair()
    stack.callback(ours.close)
    stack.callback(theirs.close)
    return ours, theirs


def _started(
    words: Sequence[str], stage: Path, kept: tuple[int, ...], stdin: int
) -> subprocess.Popen[bytes]:
    output = None if stdin == subprocess.DEVNULL else stdin
    with (stage / "messages").open("wb") as said:
        try:
            return subprocess.Popen(
                words,
                stdin=stdin,
                stdout=said if output is None else output,
                stderr=said,
                pass_fds=kept,
                env={**os.environ, "TMPDIR": str(stage), "LC_ALL": "C"},
                preexec_fn=_alone,  # this process has no threads
            )
        except OSError as error:
            raise BootError(f"{words[0]}: {error.strerror}") from error


def _alone() -> None:
    os.setsid()  # Ctrl-C is for the command line to handle
    processes.die_with_parent(signal.SIGKILL)


def _end(process: subprocess.Popen[bytes], talk: Monitor | None) -> None:
    """End QEMU. If its disk is kept, it is asked to, so that all of it is written."""
    if talk is not None and process.poll() is None:
        with contextlib.suppress(BootError):
            talk.call("quit")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    process.kill()
    process.wait()
