"""Looking at failures: machines that fail, what is said, what was left behind, a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support import Store

PROJECT = Path(__file__).parent / "project"


def machine(where: Path, name: str, *packages: str, more: str = "") -> str:
    """Write a machine of the faulty repository; give its name."""
    listed = ", ".join(f'"{package}"' for package in packages)
    text = f'seed = "debian"\nprofile = "faults:default"\npackages = [{listed}]\n{more}'
    (where / "machines" / f"{name}.toml").write_text(text)
    return name


def said(done: subprocess.CompletedProcess[str], status: int) -> str:
    """The last line of an error, after what every error owes: its status, and no traceback."""
    assert done.returncode == status, f"{done.args}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr + done.stdout
    last = done.stderr.rstrip("\n").splitlines()[-1]
    assert last.startswith("cloche: "), done.stderr
    return last


def processes(word: str) -> list[str]:
    """Command lines, of all processes of the host, with a word in them; ours and pytest's not."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in (os.getpid(), os.getppid()):
            continue
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line:
            found.append(f"{entry.name}: {line}")
    return found


def left_behind(store: Store) -> list[str]:
    """What lives or is mounted for a store: processes named by it, or with it in their mounts."""
    found = processes(str(store.path))
    # Mounts of a part of a file system are listed by their place in it.
    word = "/".join(store.path.parts[-3:])
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            mounts = (entry / "mountinfo").read_text()
        except OSError:
            continue
        if re.search(rf"{re.escape(word)}/", mounts):
            found.append(f"{entry.name} has {word} mounted")
    return found


def settled(store: Store, seconds: float = 5.0) -> list[str]:
    """What is still left behind after the kernel had time to end it."""
    end = time.monotonic() + seconds
    while (found := left_behind(store)) and time.monotonic() < end:
        time.sleep(0.02)
    return found


class InTerminal:
    """A command in a terminal of its own, as the foreground process group."""

    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(command[0], command, {**environment, "TERM": "xterm-256color"})
        self.output = b""

    def until(self, pattern: bytes, seconds: float = 60.0) -> None:
        """Read until the pattern was seen."""
        self._read(seconds, lambda: re.search(pattern, self.output) is not None)
        assert re.search(pattern, self.output), self.output.decode(errors="replace")

    def press(self, keys: bytes) -> None:
        """Type something; b"\\3" is Ctrl-C."""
        os.write(self.fd, keys)

    def ended(self, seconds: float = 60.0) -> int:
        """Read to the end; give the exit status."""
        self._read(seconds, lambda: False)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.fd)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.01)
        os.kill(self.pid, signal.SIGKILL)
        raise AssertionError(f"did not end: {self.output.decode(errors='replace')}")

    def _read(self, seconds: float, enough: Callable[[], bool]) -> None:
        end = time.monotonic() + seconds
        while not enough() and time.monotonic() < end:
            if not select.select([self.fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # EIO: nobody has the other side open any more
                return
            if not data:
                return
            self.output += data
