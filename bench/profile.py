"""Where the processor time of packages goes: `make profile`, as root, writes docs/profile.md.

perf(1) samples every processor at a fixed rate, and reports which process forked or executed what.
(Sampling each process would miss those that end before their first sample.) The events of the build
say which package was in which phase. Packages are built one after the other for the table of
phases, and at the same time for the picture of slots.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import bars, facts, overhead, slots
from bench.place import ROOT, BenchError, Place, run, say

RATE = 1997  # samples of a processor in a second; a prime, so as not to beat with a timer
#: One that compiles nothing, one small C program, one library with a configure script.
NOTHING = "nothing-a"
PACKAGES = (f"{overhead.CATEGORY}/{NOTHING}", "app-text/tree", "dev-libs/popt")
#: Built at the same time: small ones, one with a long chain of dependencies, one that is large.
PARALLEL = ("app-misc/hello", "app-misc/jq", "app-misc/tmux", "app-text/tree", "sys-process/htop")

START = "its start"
KINDS = (
    "compiler",
    "configure scripts",
    "make and what it runs",
    "Portage's shell and tools",
    "Portage's Python",
    "packing",
    "cloche",
)
COMPILERS = re.compile(r"cc1(plus)?|as|ld(\.bfd)?|collect2|x86_64-pc-linu.*|gcc.*|g\+\+.*|cc|strip")
BUILDERS = re.compile(r"make|gmake|ninja|meson|libtool|cmake|auto.*|aclocal|m4|perl")
PACKERS = re.compile(r"zstd|bzip2|gzip|xz|g?tar")
SHELLS = re.compile(r"bash|ebuild\.sh|misc-functions\.?|portage-python|perl|python.*")
PYTHONS = re.compile(r"python.*|perl|portage-python")
FILTER = "portage-python"
_FORK = re.compile(r"PERF_RECORD_FORK\((\d+):\d+\):\((\d+):\d+\)")
_EXEC = re.compile(r"\s(\d+\.\d+): PERF_RECORD_COMM exec: (.*):(\d+)/\d+")
_EXIT = re.compile(r"\s(\d+\.\d+): PERF_RECORD_EXIT\((\d+):(\d+)\)")
_SAMPLE = re.compile(r"\s(\d+)/\d+\s+(\d+\.\d+): +cpu-clock")


@dataclass(slots=True, eq=False)
class Process:
    """One process: its parent, what it executed in turn, and when it was sampled."""

    parent: Process | None = None
    executed: list[str] = field(default_factory=list)
    since: float = 0.0  # when it executed the last of these
    ended: float = 0.0
    samples: list[float] = field(default_factory=list)

    def line(self) -> Iterator[Process]:
        """This process, and all from which it descends."""
        process: Process | None = self
        while process is not None:
            yield process
            process = process.parent


@dataclass(frozen=True, slots=True)
class Span:
    """A phase of a step of a package, in seconds of the wall clock."""

    package: str
    step: str
    phase: str
    start: float
    end: float


def processes(lines: Iterable[str]) -> list[Process]:
    """Every process of ``perf script --show-task-events -F comm,pid,tid,time,event``."""
    found: list[Process] = []
    by_pid: dict[int, Process] = {}

    def get(pid: int) -> Process:
        if pid not in by_pid:
            by_pid[pid] = Process()
            found.append(by_pid[pid])
        return by_pid[pid]

    for line in lines:
        if sample := _SAMPLE.search(line):
            if sample[1] != "0":  # the idle task
                get(int(sample[1])).samples.append(float(sample[2]))
        elif fork := _FORK.search(line):
            child, parent = int(fork[1]), int(fork[2])
            if child != parent:  # not a thread
                by_pid[child] = Process(get(parent))
                found.append(by_pid[child])
        elif executed := _EXEC.search(line):
            process = get(int(executed[3]))
            process.executed.append(executed[2])
            process.since = float(executed[1])
        elif (ended := _EXIT.search(line)) and ended[2] == ended[3]:
            get(int(ended[2])).ended = float(ended[1])
    return found


def kind_of(process: Process, phase: str) -> str:
    """What a process did, by what it and those above it executed."""
    names = [above.executed[-1] for above in process.line() if above.executed]
    name, above = names[0], names[1:-1]  # the last is the build itself
    if not above:
        return "Portage's Python"
    if COMPILERS.fullmatch(name):
        return "compiler"
    if phase == "configure" and not SHELLS.fullmatch(name):
        return "configure scripts"
    if any(BUILDERS.fullmatch(each) for each in (name, *above)) and FILTER not in above:
        return "make and what it runs"
    if PACKERS.fullmatch(name):
        return "packing"
    return "Portage's Python" if PYTHONS.fullmatch(name) else "Portage's shell and tools"


def spans(events: Iterable[Mapping[str, object]]) -> list[Span]:
    """The phases of all packages, and what lies between them, out of the events of a build."""
    found: list[Span] = []
    since: dict[str, tuple[str, float]] = {}
    steps: dict[str, str] = {}
    for event in events:
        package, name = str(event.get("package")), event["event"]
        time = float(str(event["time"]))
        if name in ("started", "phase", "done") and package in since:
            phase, start = since.pop(package)
            found.append(Span(package, steps[package], phase, start, time))
        if name == "started":
            steps[package] = str(event["step"])
            since[package] = (START, time)
        elif name == "phase":
            phase = str(event["phase"]) if event["state"] == "start" else "in between"
            since[package] = (phase, time)
    return found


def steps_of(guests: Iterable[Process], phases: Sequence[Span]) -> dict[int, tuple[str, str]]:
    """The step that each guest did: of those that it lies in, the one that ended next after it."""
    steps: dict[tuple[str, str], tuple[float, float]] = {}
    for span in phases:
        start, end = steps.get((span.package, span.step), (span.start, span.end))
        steps[span.package, span.step] = min(start, span.start), max(end, span.end)
    found: dict[int, tuple[str, str]] = {}
    for guest in sorted(guests, key=lambda each: each.ended):
        fitting = [
            (end, name)
            for name, (start, end) in steps.items()
            if start <= guest.since and guest.ended <= end
        ]
        if fitting:
            _, name = min(fitting)
            found[id(guest)] = name
            del steps[name]
    return found


def owners(
    found: Sequence[Process], root: Process, phases: Sequence[Span]
) -> list[tuple[Process, tuple[str, str] | None]]:
    """Every process below ``root``, with the package and step that it worked for, if any."""
    below = [(each, line) for each in found if root in (line := list(each.line()))]
    executed = [(each, [p for p in line if p.executed]) for each, line in below]
    guests = {
        id(line[-2]): line[-2]
        for _, line in executed
        if len(line) > 1 and line[-2].executed == ["python3"]
    }
    steps = steps_of(guests.values(), phases)
    return [(p, steps.get(id(line[-2])) if len(line) > 1 else None) for p, line in executed]


def counted(found: Sequence[Process], root: Process, phases: Sequence[Span]) -> bars.Table:
    """Seconds by package, phase and kind of every process below ``root``."""
    table: bars.Table = defaultdict(lambda: defaultdict(lambda: defaultdict(float)))
    for span in sorted(phases, key=lambda each: each.start):
        table[span.package][f"{span.step}: {span.phase}"] = defaultdict(float)
    for process, step in owners(found, root, phases):
        for moment in process.samples:
            for span in phases:
                if span.start <= moment < span.end and step in (None, (span.package, span.step)):
                    kind = "cloche" if step is None else kind_of(process, span.phase)
                    table[span.package][f"{span.step}: {span.phase}"][kind] += 1 / RATE
                    break
    return table


def samples_of(
    found: Sequence[Process], root: Process, phases: Sequence[Span]
) -> list[tuple[float, str]]:
    """Every sample: when, and the package that it belongs to, or CLOCHE or OTHERS."""
    samples: list[tuple[float, str]] = []
    owned = owners(found, root, phases)
    for process, step in owned:
        owner = step[0] if step else slots.CLOCHE
        samples += [(moment, owner) for moment in process.samples]
    ours = {id(process) for process, _ in owned}
    for process in found:
        if id(process) not in ours:
            samples += [(moment, slots.OTHERS) for moment in process.samples]
    return samples


@dataclass(frozen=True, slots=True)
class Recorded:
    """What perf and the events of one build say."""

    found: list[Process]
    root: Process
    phases: list[Span]


def recorded(place: Place, project: Path, machine: str, jobs: int) -> Recorded:
    """Build a machine under perf. Raises BenchError."""
    data, events = place.directory / "perf.data", place.directory / "events"
    build = f"{shlex.quote(sys.executable)} -m cloche.cli -C {project} --store {place.store}"
    shell = f"{build} build {machine} --jobs {jobs} --progress json > {events}"
    sampler = ("perf", "record", "--quiet", "-a", "-e", "cpu-clock", "-F", str(RATE))
    run((*sampler, "-k", "CLOCK_REALTIME", "-o", data, "--", "/bin/sh", "-c", f"exec {shell}"))
    words = ("perf", "script", "-i", str(data), "--show-task-events")
    script = subprocess.run(
        (*words, "-F", "comm,pid,tid,time,event"), capture_output=True, text=True, check=False
    )
    if script.returncode:
        raise BenchError(script.stderr)
    found = processes(script.stdout.splitlines())
    root = next(each for each in found if each.executed[:1] == ["sh"])
    return Recorded(found, root, spans(map(json.loads, events.read_text().splitlines())))


def measure(place: Place) -> tuple[bars.Table, slots.Build]:
    """Build the packages under perf, one by one and in parallel. Raises BenchError."""
    project = place.project("profile", _machines)
    place.cloche(project, "seed", "bootstrap")
    say("one package after the other")
    place.build(project, "profiled")  # from now on sources are here and files in memory
    place.forget()
    single = recorded(place, project, "profiled", 1)
    table = counted(single.found, single.root, single.phases)
    say("packages in parallel")
    place.cloche(project, "fetch", "parallel")
    place.forget()
    cores = len(os.sched_getaffinity(0))
    with slots.watched(place.store) as free:
        many = recorded(place, project, "parallel", cores)
    samples = samples_of(many.found, many.root, many.phases)
    steps = [slots.Stretch(each.package, each.start, each.end) for each in many.phases]
    builds = [
        slots.Stretch(each.package, each.start, each.end)
        for each in many.phases
        if each.step == "build"
    ]
    return table, slots.Build(cores, RATE, slots.joined(steps), slots.joined(builds), samples, free)


def _machines(project: Path) -> None:
    overhead.add([NOTHING], project)
    mini = (project / "machines/mini.toml").read_text().splitlines()
    lines = [line for line in mini if not line.startswith("packages")]
    for name, packages in (("profiled", PACKAGES), ("parallel", PARALLEL)):
        text = "\n".join([*lines, f"packages = {json.dumps(packages)}", ""])
        (project / f"machines/{name}.toml").write_text(text)


def main() -> int:
    """Measure, draw, write; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, help="as for bench.run")
    parser.add_argument("--output", type=Path, default=ROOT / "docs", help="directory to write to")
    options = parser.parse_args()
    if os.geteuid() != 0:
        say("perf needs root to see every processor")
        return 3
    load = os.getloadavg()[0]
    parent = os.environ.get("TMPDIR", "/var/tmp")
    with tempfile.TemporaryDirectory(prefix="cloche-profile-", dir=parent) as name:
        directory = Path(name)
        place = Place(directory, (options.store or directory).absolute() / "store")
        place.store.parent.mkdir(parents=True, exist_ok=True)
        try:
            table, build = measure(place)
            about = list(facts.about(place.directory, load))
        except (BenchError, FileNotFoundError) as error:
            say(str(error))
            return 1
        finally:
            place.removed(directory)
            directory.mkdir()  # for the context to remove
    bars.write(options.output, table, KINDS, about)
    slots.add(options.output, build)
    return 0


if __name__ == "__main__":
    sys.exit(main())
