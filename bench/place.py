"""Where measurements are made: a directory, a store, copies of the project, the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloche.store import Store, gc

ROOT = Path(__file__).resolve().parent.parent
WORKBENCH = ROOT / "examples" / "workbench"

# With it every start of Python would compile what it imports.
_LEFT_OUT = ("PYTHONDONTWRITEBYTECODE",)


class BenchError(Exception):
    """Something that should have worked did not; the text ends with what it said itself."""


def say(text: str) -> None:
    """Tell of the progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended: its standard output, its seconds of the clock, and of processors.

    ``processor`` counts all descendants; 0 where there is no control group to count in.
    """

    out: str
    seconds: float
    processor: float


@contextmanager
def counted() -> Iterator[tuple[tuple[str, ...], Callable[[], float]]]:
    """A control group (cgroups(7), version 2) for one command.

    Gives the words that put it there, and the seconds of processors that all in it had so far.
    """
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    top = next((Path(place) for place, kind in mounts if kind == "cgroup2"), None)
    own = Path("/proc/self/cgroup").read_text().rpartition("0::/")[2].strip()
    group = top / own / f"bench-{os.getpid()}-{time.monotonic_ns()}" if top else None
    try:
        if group is not None:
            group.mkdir()
    except OSError:
        group = None
    if group is None:
        yield (), lambda: 0.0
        return
    told = group / "cpu.stat"
    enter = ("/bin/sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(group))
    try:
        yield enter, lambda: int(told.read_text().split()[1]) / 1e6
    finally:
        with suppress(OSError):  # something of it still ends
            group.rmdir()


def run(words: Sequence[str | Path], *, cwd: Path | None = None, log: Path | None = None) -> Ran:
    """Run a command. Raises BenchError."""
    with counted() as (enter, processor):
        began = time.monotonic()
        done = subprocess.run(
            [*enter, *map(str, words)],
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        ran = Ran(done.stdout, time.monotonic() - began, processor())
    if log is not None:
        log.write_text(done.stdout + done.stderr)
    if done.returncode:
        told = "\n".join((done.stdout + done.stderr).splitlines()[-30:])
        raise BenchError(f"{' '.join(map(str, words))}: status {done.returncode}\n{told}")
    return ran


@dataclass(frozen=True, slots=True)
class Build:
    """One run of `cloche build`: its seconds, of the clock and of processors, and its events."""

    seconds: float
    processor: float
    events: tuple[dict[str, Any], ...]

    def packages(self, how: str) -> tuple[str, ...]:
        """Ids of the packages that were "built" or "reused"."""
        return tuple(e["package"] for e in self.events if e["event"] == "done" and e["how"] == how)

    def took(self) -> dict[str, float]:
        """Seconds of each package that was built: build, merge, and what is around them."""
        return {
            event["package"]: event["seconds"]
            for event in self.events
            if event["event"] == "done" and event["how"] == "built"
        }

    def stage(self, name: str) -> float:
        """Seconds of a stage."""
        return sum(
            float(event["seconds"])
            for event in self.events
            if event["event"] == "stage" and event["name"] == name and event["state"] == "end"
        )


@dataclass(frozen=True, slots=True)
class Place:
    """``directory`` is the run's own, on the file system of ``store``."""

    directory: Path
    store: Path

    def project(self, name: str, change: Callable[[Path], None] = lambda _: None) -> Path:
        """Copy the workbench, under its own name for each use, and change the copy."""
        target = self.directory / name
        shutil.copytree(WORKBENCH, target, ignore=shutil.ignore_patterns("out", "cloche.lock"))
        change(target)
        return target

    def cloche(self, project: Path, *arguments: str | Path) -> Ran:
        """Run the command line in a project."""
        own = (sys.executable, "-m", "cloche.cli", "-C", project, "--store", self.store)
        return run((*own, *arguments), cwd=ROOT)

    def build(
        self,
        project: Path,
        machine: str,
        *,
        jobs: int = 2,
        engine: str = "native",
        options: Sequence[str] = (),
    ) -> Build:
        """Run `cloche build` to its end."""
        words = ("build", machine, "--jobs", str(jobs), "--progress", "json")
        other = () if engine == "native" else ("--engine", engine)
        ran = self.cloche(project, *words, *other, *options)
        return Build(ran.seconds, ran.processor, tuple(map(json.loads, ran.out.splitlines())))

    def forget(self) -> None:
        """Take all that was built out of the store; seeds and distfiles stay."""
        with Store.open(self.store, exclusive=True) as store:
            for pin in store.pins("machine/"):
                store.unpin(pin.name)
            gc(store, failed=True)
            left = [action.key for action in store.index.actions()]
            store.remove(trees=(), blobs=(), actions=left)

    def removed(self, path: Path) -> None:
        """Remove one of the run's own trees."""
        subprocess.run(["rm", "-rf", "--one-file-system", path], check=True)


def without_stage4(machine: str) -> Callable[[Path], None]:
    """Let a project's machine ask for no tarball."""

    def change(project: Path) -> None:
        file = project / "machines" / f"{machine}.toml"
        file.write_text(file.read_text().replace("stage4 = true", "stage4 = false"))

    return change


def with_stage4(project: Path, machine: str) -> None:
    """Let a project's machine ask for a tarball."""
    file = project / "machines" / f"{machine}.toml"
    text = file.read_text().replace("stage4 = false", "stage4 = true")
    file.write_text(text if "stage4" in text else f"{text}\n[output]\nstage4 = true\n")


def settle() -> None:
    """Let what was written before reach the disk, so that it is nobody's time."""
    os.sync()
