"""Schedulers, workers and builds as processes, as people start them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support import Store, User

from cloche.linux.processes import end_session

SLOW = """EAPI=8
DESCRIPTION="takes its time"
HOMEPAGE="https://example.org/faults"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
DEPEND="{depend}"
src_compile() {{
    local n
    for n in 1 2; do
        setsid bash -c 'trap "" TERM INT HUP; exec -a cluster-slow-child sleep 300' &
    done
    [[ -e /usr/share/quick ]] || bash -c 'exec -a cluster-slow-main sleep {seconds}'
    kill -9 $(jobs -p)
    echo {name} > {name} || die
}}
src_install() {{
    insinto /usr/share/slow
    doins {name}
}}
"""


def wait_for(what: Callable[[], Any], seconds: float = 60.0, why: str = "") -> Any:
    """Wait until a function gives something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, why or f"waited {seconds} s for {what}"
        time.sleep(0.05)
    return found


def slow_machine(place: Path, seconds: float, *names: str, depend: str = "") -> str:
    """Add a machine of packages that take their time to a project; return its name."""
    for name in names:
        directory = place / "repo/late" / name
        directory.mkdir(parents=True)
        text = SLOW.format(seconds=seconds, name=name, depend=depend)
        (directory / f"{name}-1.ebuild").write_text(text)
    categories = place / "repo/profiles/categories"
    if "late" not in categories.read_text().split():
        categories.write_text(f"{categories.read_text()}late\n")
    atoms = ", ".join(f'"late/{name}"' for name in names)
    head = 'seed = "debian"\nprofile = "faults:default"\n'
    (place / "machines/slow.toml").write_text(f"{head}packages = [{atoms}]\n")
    return "slow"


def processes(name: str) -> list[int]:
    """Processes of a command line that begins with this."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (directory / "cmdline").read_bytes().startswith(name.encode()):
                found.append(int(directory.name))
    return found


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Process:
    """A process in a session of its own, and the file with all that it says."""

    process: subprocess.Popen[bytes]
    said: Path

    def says(self, text: str, seconds: float = 60.0) -> None:
        """Wait until it says something."""
        wait_for(
            lambda: text in self.text or self.process.poll() is not None,
            seconds,
            f"“{text}” was not said: {self.text}",
        )
        assert text in self.text, self.text

    @property
    def text(self) -> str:
        """What it has said."""
        return self.said.read_text()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it alone."""
        os.kill(self.process.pid, number)

    def end(self) -> int:
        """End it, and wait for that."""
        end_session(self.process, 15.0)
        return self.process.returncode


@dataclass
class Site:
    """What a test has started, in the order of starting."""

    room: Path
    started: list[Process] = field(default_factory=list)
    prefix: tuple[str, ...] = ()

    def start(
        self,
        command: Sequence[str | Path],
        user: User | None = None,
        cwd: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Process:
        """Start a command."""
        said = self.room / f"said-{len(self.started)}"
        with said.open("wb") as file:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=cwd or self.room,
                env=user.environment(env) if user else None,
                start_new_session=True,
            )
        self.started.append(Process(process, said))
        return self.started[-1]

    def scheduler(self, port: int, *words: str, host: str = "127.0.0.1") -> Process:
        """`dask scheduler`, which listens when this returns."""
        command = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard")
        process = self.start([*self.prefix, *command, "--host", host, "--port", str(port), *words])
        process.says("Scheduler at")
        return process

    def worker(self, store: Store, scheduler: str, name: str, *words: str) -> Process:
        """`cloche worker`, which works when this returns."""
        arguments = ("worker", "--scheduler", scheduler, "--name", name, *words)
        command = store.user.command("--store", store.path, *arguments, prefix=self.prefix)
        process = self.start(command, store.user, store.user.home)
        process.says("working for")
        return process

    def build(self, store: Store, place: Path, machine: str, *words: str | Path) -> Build:
        """`cloche build`, which this does not wait for."""
        arguments = ("build", machine, "--progress", "json", *words)
        command = store.user.command("--store", store.path, *arguments, prefix=self.prefix)
        return Build(self.start(command, store.user, place), store)


@dataclass
class Build:
    """A build that runs, or has run."""

    process: Process
    store: Store

    def events(self) -> list[dict[str, Any]]:
        """Its events so far."""
        lines = self.process.text.splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def begun(self, phase: str, package: str = "") -> dict[str, Any]:
        """Wait for a phase of a package."""

        def look() -> dict[str, Any] | None:
            found = (
                each
                for each in self.events()
                if each["event"] == "phase"
                and each["phase"] == phase
                and each["state"] == "start"
                and package in each["package"]
            )
            return next(found, None)

        event: dict[str, Any] = wait_for(look, 60, f"no phase {phase}: {self.process.text}")
        return event

    def ends(self, status: int = 0, seconds: float = 120.0) -> list[dict[str, Any]]:
        """Wait for its end; return its events."""
        self.process.process.wait(seconds)
        assert self.process.process.returncode == status, self.process.text
        return self.events()

    @property
    def layers(self) -> dict[str, str]:
        """The layer of each package."""
        done = [each for each in self.events() if each["event"] == "done"]
        return {each["package"]: each["layer"] for each in done}

    @property
    def built(self) -> list[str]:
        """The packages that were built."""
        return [each["package"] for each in self.events() if each.get("how") == "built"]

    @property
    def notes(self) -> str:
        """What people were told."""
        return "\n".join(each["text"] for each in self.events() if each["event"] == "note")


@contextlib.contextmanager
def site(room: Path) -> Iterator[Site]:
    """Start processes for a block; none of them is left after it."""
    made = Site(room)
    try:
        yield made
    finally:
        for each in reversed(made.started):
            each.end()
