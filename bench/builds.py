"""Building a machine: cold, beside stock Portage; again; after a small change; packing."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from bench import plain
from bench.own_project import own_root
from bench.place import (
    BenchError,
    Build,
    Place,
    run,
    say,
    settle,
    with_stage4,
    without_stage4,
)
from bench.table import Aim, Beside, Row, median_row
from cloche.output.stage4 import TAR
from cloche.plan.plan import Plan
from cloche.seeds.stored import stored_seeds
from cloche.session.session import open_session
from cloche.store import Store

JOBS = 2
PATIENCE = 480.0  # seconds for one round of cold builds; after a longer one there is no second


@dataclass(frozen=True, slots=True)
class Subject:
    """What is built: a machine, a leaf with a flag that only changes it, and a middle package."""

    machine: str
    leaf: str
    flag: str
    middle: str


WORKBENCH = Subject("workbench", "sys-process/htop", "openvz", "sys-libs/readline")
MINI = Subject("mini", "app-misc/hello", "nls", "dev-libs/oniguruma")


def make_seed(place: Place) -> list[Row]:
    """Make the seed, unless an earlier run left one; nothing is compared with it."""
    with Store.open(place.store) as store:
        there = bool(stored_seeds(store))
    seconds = place.cloche(place.project("seed"), "seed", "bootstrap").seconds
    what = "making the seed (mmdebstrap, Portage from its release)"
    return [] if there else [Row(what, seconds, "s")]


def fetch_all(place: Place, machine: str) -> Plan:
    """Bring all distfiles of a machine into the store; give its plan."""
    with open_session(place.project("fetch"), store=place.store) as session:
        if failed := session.fetch(machine).failed:
            raise failed[0]
        return session.prepare(machine).plan


@dataclass(frozen=True, slots=True)
class Cold:
    """Cold builds of both sides: seconds of each, of the clock and of processors.

    Project and root are those that the last round left behind.
    """

    cloche: tuple[float, ...]
    emerge: tuple[float, ...]
    resolve: tuple[float, ...]
    pretend: tuple[float, ...]
    cloche_processor: tuple[float, ...]
    emerge_processor: tuple[float, ...]
    project: Path
    plain: plain.Plain

    @property
    def seconds(self) -> float:
        """Median of cloche's."""
        return statistics.median(self.cloche)


def cold(place: Place, subject: Subject, rounds: int, *, own: bool = False) -> Cold:
    """Build from nothing, sources at hand: cloche and emerge, emerge and cloche, …

    ``own``: into a root of its own.
    """
    seconds: dict[str, list[float]] = defaultdict(list)
    name = "own" if own else "cold"
    project = place.project(name, without_stage4(subject.machine))
    if own:
        own_root(project, subject.machine)
    for number in range(rounds):
        began = time.monotonic()
        root = plain.make(place, f"plain-{name}-{number}", project, subject.machine)
        root.emerge("--version")  # byte code, and the files in memory, for both
        if number % 2 == 0:
            _cold_cloche(place, subject, project, seconds)
            _cold_emerge(root, seconds)
        else:
            _cold_emerge(root, seconds)
            _cold_cloche(place, subject, project, seconds)
        if number == rounds - 1 or time.monotonic() - began > PATIENCE:
            break
        place.removed(root.root)
    return Cold(**{k: tuple(v) for k, v in seconds.items()}, project=project, plain=root)


def _cold_cloche(
    place: Place, subject: Subject, project: Path, seconds: dict[str, list[float]]
) -> None:
    place.forget()
    settle()
    say("  cloche build")
    build = place.build(project, subject.machine, jobs=JOBS)
    if build.packages("reused"):
        raise BenchError("a cold build reused something")
    seconds["cloche"].append(build.seconds)
    seconds["cloche_processor"].append(build.processor)
    seconds["resolve"].append(build.stage("resolve"))


def _cold_emerge(root: plain.Plain, seconds: dict[str, list[float]]) -> None:
    settle()
    say("  emerge")
    seconds["pretend"].append(root.emerge("--pretend", *root.targets).seconds)
    ran = root.install(JOBS)
    seconds["emerge"].append(ran.seconds)
    seconds["emerge_processor"].append(ran.processor)
    root.check()


def cold_rows(cold: Cold) -> tuple[Row, Row, Row]:
    """Both sides' whole commands, by the clock and in processor time, and their resolutions."""
    packages = len(cold.plain.graph.packages)
    own = cold.plain.own
    beside = f" --root={plain.OWN} --sysroot={plain.OWN}" if own else ""
    other = f"`emerge --jobs {JOBS} --buildpkg{beside}` of the same packages"
    processor = (cold.emerge_processor, other)
    into = " into a root of its own" if own else ""
    what = f"cold build of {packages} packages{into}, `--jobs {JOBS}`"
    pretend = (cold.pretend, "`emerge --pretend`, starting of Portage included")
    aim = Aim(1.0) if own else Aim(0.85)
    return (
        median_row(what, cold.cloche, "s", (cold.emerge, other), aim),
        median_row(f"{what}: processor time", cold.cloche_processor, "s", processor, aim),
        median_row("resolution of the machine", cold.resolve, "s", pretend),
    )


def leaf_rows(place: Place, subject: Subject, cold: Cold) -> list[Row]:
    """Change a leaf's USE flag: what is built, and how long the whole command takes."""
    fragment = cold.project / "portage/base/package.use"
    fragment.mkdir(exist_ok=True)
    (fragment / "bench").write_text(f"{subject.leaf} {subject.flag}\n")
    build = place.build(cold.project, subject.machine, jobs=JOBS)
    return _changed(f"a leaf's flag changed (`{subject.leaf}[{subject.flag}]`)", build, cold)


def middle_rows(place: Place, subject: Subject, cold: Cold, plan: Plan) -> list[Row]:
    """Change a comment in the ebuild of a package that others are built with."""
    (ebuild,) = (cold.project / "repo" / subject.middle).glob("*.ebuild")
    ebuild.write_text(ebuild.read_text() + "# A comment more.\n")
    build = place.build(cold.project, subject.machine, jobs=JOBS)
    what = f"a comment changed in the ebuild of `{subject.middle}`"
    (name,) = (p.id for p in plan.packages if p.cp == subject.middle)
    above = 1 + sum(name in sets.needed for sets in plan.visible.values())
    counted = Beside(above, "it, and all that can see it when they are built or merged")
    return _changed(what, build, cold, counted)


def _changed(what: str, build: Build, cold: Cold, counted: Beside | None = None) -> list[Row]:
    everything = Beside(len(cold.plain.graph.packages), "all of the machine")
    built = len(build.packages("built"))
    aim = Aim(1, of="value")
    return [
        Row(f"{what}: what is built", built, "packages", counted or everything, aim),
        Row(f"{what}: whole command", build.seconds, "s", Beside(cold.seconds, "the cold build")),
    ]


def again_rows(place: Place, subject: Subject, cold: Cold, runs: int) -> list[Row]:
    """Build once more with nothing changed."""
    place.build(cold.project, subject.machine, jobs=JOBS)
    seconds = []
    for _ in range(runs):
        build = place.build(cold.project, subject.machine, jobs=JOBS)
        if build.packages("built"):
            raise BenchError("something was built again")
        seconds.append(build.seconds)
    what = "building again with nothing changed"
    return [
        median_row(what, seconds, "s", aim=Aim(2, of="value")),
        median_row(what, seconds, "s", ((cold.seconds,), "the cold build"), Aim(0.01)),
    ]


def pack_row(place: Place, subject: Subject, cold: Cold) -> Row:
    """Pack the machine, beside the same tar and zstd on the plain root."""
    with_stage4(cold.project, subject.machine)
    settle()
    build = place.build(cold.project, subject.machine, jobs=JOBS)
    words = [
        *("--file=-" if word.startswith("--file=") else word for word in TAR),
        "--directory=/",
        "--exclude=./var/cache/distfiles/*",
        "--exclude=./var/cache/binpkgs/*",
        "--exclude=./var/db/repos/*",
        "--exclude=./var/tmp/*",
        ".",
    ]
    settle()
    seconds = plain.packed(cold.plain, words, place.directory / "plain.tar.zst")
    return Row("packing the stage4", build.stage("pack"), "s", Beside(seconds, "tar and zstd"))


def size_row(place: Place, cold: Cold) -> Row:
    """What the whole store takes on the disk, beside the plain root with its packages."""

    def megabytes(path: Path) -> float:
        return int(run(("du", "--summarize", "--block-size=1", path)).out.split()[0]) / 1e6

    beside = Beside(megabytes(cold.plain.root), "the plain root with its packages and sources")
    return Row("store on the disk, seed included", megabytes(place.store), "MB", beside)
