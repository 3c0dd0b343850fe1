"""Measure everything, and write docs/benchmarks*.md: `make bench`, as root, on a quiet machine.

The measurements are in parts, each with its own file; --part selects some.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import (
    autogen,
    builds,
    cache,
    catalyst,
    compiling,
    display,
    distcc,
    facts,
    fleet,
    images,
    layers,
    overhead,
    own_root,
    parts,
    resolution,
    service,
    starts,
    thousand,
)
from bench.place import ROOT, BenchError, Place, say, settle
from bench.table import Report, Row, render
from cloche.seeds.stored import stored_seeds
from cloche.store import Store

Rows = tuple[list[Row], list[Row]]
"""The rows of a part, and those of figures that are not compared with others."""

BOTH = (
    "Both sides have the same seed, configuration, repository and sources (fetched before), on the "
    "same file system, and were written out to the disk (sync) before the clock starts. Times are "
    "wall clock; processor time is that of a control group in which the command ran, with all that "
    "it started.",
    "`emerge` runs in a plain chroot with Portage's own default FEATURES (network-, pid- and "
    "ipc-sandbox, userpriv, merge-sync and binpkg-multi-instance among them), with `buildpkg`, "
    "GPKG and zstd. `sandbox` and `usersandbox` are off: the seed has no such program. "
    'MAKEOPTS="-j2"; cloche gives its packages a common jobserver with as many slots as there are '
    "cores, and isolates them itself.",
)
NOTES = (
    *BOTH,
    "Cold builds: the whole command on both sides (resolution, building, merging; for cloche also "
    "the machine's state layer and the package index), the tarball left out. Rounds alternate "
    "which side goes first; before each the store is emptied but for seed and sources, and the "
    "plain root is made anew.",
    "Small changes are made one after the other in the same project, each followed by one build.",
    "Starts: a sandbox with a writable top, every namespace, /dev, /proc and no network, through "
    "the engine that builds use; layers of one package entry and one file each. bubblewrap "
    "(`--unshare-all --dev /dev --proc /proc`) and chroot enter a directory that is ready: they "
    "compose nothing. All kinds take turns, each after 30 ms in which nothing is started; in a row "
    "means without these. Memory is what the launcher and the process with the engine have for "
    "themselves (Private_* of smaps_rollup).",
    "Compiling: a project of our own, one gcc after the other, `-pipe -O2`; sandbox and chroot "
    "take turns, and the ratio is the median of the rounds' ratios.",
    "Roots of many layers: see docs/layers.md, which `python -m bench.layers` writes.",
    "A package that compiles nothing: five of them without dependencies, one after the other; "
    "cloche's figures are those of its index and its events.",
    "A compile cache: one package with `-O2 -pipe`, each time with a new revision, first with the "
    "cache of the revision before, then without one; the layers are the same. A seed and a store "
    "of their own.",
    "Seeds in parts: a generated tree with a VDB, 100 files a package of 0.3 to 24 KB, split into "
    "a layer for each package, which are then all put over the Debian seed; the files were written "
    "just before. The first time the layers are merged into a union. `--strict`: packages of "
    "their own for both kinds, which take turns; the seed is split before.",
    "Resolution: both sides have a metadata cache; cloche's own is made from the tree, which ships "
    "none, before the clock starts. The configuration changes before each round.",
    "A freshroot: the whole command, with the start of Python; its machine has layers of one file "
    "each over the seed, and a shell prints a line in it. One plan over machines: examples/fleet, "
    "until the plan is known; the store is emptied but for the seed before each.",
    "Memory: VmHWM of a process with the whole command line loaded, that reads a synthetic "
    "resolution, plans it, and finds every step done in a real store.",
    "The live display: processor time of this process, on synthetic events, into a window that "
    "only counts; one package failed, two hundred are built. The share is of ten seconds with 20 "
    "events a second, without what making the events costs.",
)
OWN_NOTES = (
    *BOTH,
    "A root of its own: the same machine and, of the seed's files, packages of a C library, of the "
    "compiler's libraries and of a shell. For emerge the compilers and pkg-config look into that "
    "root by the same scripts as in cloche's sandboxes; it installs the toolchain first, in a "
    "separate run. First commands: the layers of that machine and others of one file. The machine "
    "that gets one package more has packages of one file, each of which needs another one.",
)
CATALYST_NOTES = (
    "Stages from catalyst's specs: the release of tests/releng, which has Debian's packages as "
    "ebuilds, and five that are compiled. For emerge, the source stage is unpacked before the "
    "clock starts; the update of the seed counts on both sides. The specs that are linted are "
    "copies of the release's, as many of each target as releng has.",
)

SERVICE_NOTES = (
    "The service and its clients are on this machine, on loopback. A client is a chroot of the "
    "Debian seed with its own Portage, a repository of a few packages, and FEATURES without "
    "sandboxes and namespaces; all starts of Python and chroot(8) count. The static directory has "
    "the files and the index that the service has for the client; it is served by Python's "
    "http.server. Between two runs the package is unmerged, and its download removed.",
    "On the wire: bytes of TCP connections in both directions, counted by a relay. A machine that "
    "enrols has 600 entries in its VDB, written for this, with dependencies that no other one has.",
)

DISTCC_NOTES = (
    "The hosts are distccd in network namespaces of this machine, with which they share its cores: "
    "builds with two hosts are not faster here. Both programs take turns; each starts its "
    "command in a network namespace by ip(8), which counts on both sides.",
)

AUTOGEN_NOTES = (
    "The index is a process of its own on loopback, so it takes a part of the cores: projects with "
    "one to four releases, each with an sdist of some 15 files and the metadata of a wheel, and "
    "nought to eight requirements of the usual forms on other projects of it. Every second package "
    "is listed with `deps`. Another repository has a metadata cache of as many packages. Memory is "
    "the largest resident set.",
)


IMAGES_NOTES = (
    "The root is the Debian seed's with packages of one file each. mkosi runs in a chroot of the "
    "same tools, of a directory with that root, with the same definition of a partition; for "
    "cloche the whole command counts, with the start of Python and the plan. Each time the disk "
    "has another `Seed`. Both take turns; the first of each does not count.",
    "An image for containers: the time is that of the stage `image` of a build that also builds "
    "the changed package.",
)


def main() -> int:
    """Parse, measure, write; the exit status."""
    options = _options()
    if os.geteuid() != 0:
        say("the plain chroot beside cloche needs root")
        return 3
    load = os.getloadavg()[0]
    for name in options.part or PARTS:
        began = time.monotonic()
        try:
            report = _measured(PARTS[name], options, load)
        except BenchError as error:
            say(str(error))
            return 1
        file = options.output / PARTS[name].file
        file.write_text(render(report))
        say(f"written: {file.name}, after {time.monotonic() - began:.0f} s")
    return 0


def _measured(part: Part, options: argparse.Namespace, load: float) -> Report:
    """Measure a part in a directory of its own, which is removed. Raises BenchError."""
    parent = os.environ.get("TMPDIR", "/var/tmp")  # not /tmp: that may be memory
    with tempfile.TemporaryDirectory(prefix="cloche-bench-", dir=options.store or parent) as name:
        directory = Path(name)
        directory.chmod(0o755)
        place = Place(directory, (options.store or directory) / "store")
        try:
            rows, others = part.measure(place, options)
            about = list(facts.about(directory, load))
        finally:
            place.removed(directory)
            directory.mkdir()  # for the context to remove
    return Report(part.title, about, rows, others, part.notes)


def packages(place: Place, options: argparse.Namespace) -> Rows:
    """Builds of a machine, what they are made of, and what they cost, in this order."""
    quick = options.quick
    subject = builds.MINI if quick else builds.WORKBENCH
    rows: list[Row] = []
    others: list[Row] = []
    say("making the seed")
    others += builds.make_seed(place)
    say("fetching sources")
    plan = builds.fetch_all(place, subject.machine)
    say("cold builds")
    cold = builds.cold(place, subject, options.rounds)
    *first, resolved = builds.cold_rows(cold)
    rows += first
    others.append(resolved)
    say("building again")
    rows += builds.again_rows(place, subject, cold, 3 if quick else 9)
    say("small changes")
    rows += builds.leaf_rows(place, subject, cold)
    rows += builds.middle_rows(place, subject, cold, plan)
    say("starts")
    settle()  # each makes a directory, which waits for what the builds have still to write
    seed = _seed(place)
    sizes = (10, 100) if quick else tuple(starts.AIMS)
    rows += starts.rows(place, seed, cold.plain.root, sizes, 5 if quick else 40)
    number = 160 if quick else starts.BESIDE
    rows += starts.composed_rows(
        place, starts.on_seed(seed), number, cold.plain.root, 5 if quick else 40
    )
    say("starts in a row")
    rows += starts.row_rows(place, seed, starts.BESIDE, 100 if quick else 1000)
    say("compiling")
    rows += compiling.rows(place, seed, cold.plain.root, starts.BESIDE, 2 if quick else 7)
    say("roots of many layers")
    others += layers.rows(place, seed, 100 if quick else 300, 2 if quick else 5)
    say("packages that compile nothing")
    rows += overhead.rows(place, 2 if quick else 5)
    say("a compile cache")
    rows += cache.rows(place, 1 if quick else 3)
    say("seeds in parts")
    rows += parts.split_rows(place, seed, 60 if quick else 600, 5 if quick else 40)
    rows += parts.strict_rows(place, 2 if quick else 7)
    say("a resolution of three hundred packages")
    rows += resolution.rows(place, 30 if quick else 300, 2 if quick else 5)
    say("freshroots and plans of several machines")
    rows += fleet.prompt_rows(place, 60 if quick else starts.BESIDE, 3 if quick else 15)
    rows += fleet.plan_rows(place, 1 if quick else 5)
    say("a plan of a thousand packages")
    rows += thousand.rows(place, 100 if quick else 1000)
    say("the live display")
    rows += display.rows()
    say("packing")
    others.append(builds.pack_row(place, subject, cold))
    others.append(builds.size_row(place, cold))
    return rows, others


def own_roots(place: Place, options: argparse.Namespace) -> Rows:
    """Machines with a root of their own: one package more, cold builds, first commands."""
    subject = builds.MINI if options.quick else builds.WORKBENCH
    others = builds.make_seed(place)
    builds.fetch_all(place, subject.machine)
    rows = own_root.adding_rows(place, 20 if options.quick else 300, 1 if options.quick else 3)
    cold, own = own_root.cold_rows(place, subject, options.rounds)
    number, runs = (160, 5) if options.quick else (starts.BESIDE, 40)
    rows += cold
    rows += own_root.composed_rows(place, _seed(place), own, subject.machine, number, runs)
    return rows, others


def stages(place: Place, options: argparse.Namespace) -> Rows:
    """Stages from catalyst's specs."""
    others = builds.make_seed(place)
    return [*catalyst.spec_rows(place), *catalyst.rows(place, options.rounds)], others


def on_demand(place: Place, options: argparse.Namespace) -> Rows:
    """Clients of the service."""
    others = builds.make_seed(place)
    return service.rows(place, _seed(place), 2 if options.quick else 7), others


def distributed(place: Place, options: argparse.Namespace) -> Rows:
    """Compiles on other hosts with distcc."""
    return distcc.rows(place, *((10, 1) if options.quick else (40, 3))), []


def of_images(place: Place, options: argparse.Namespace) -> Rows:
    """Images of a finished machine."""
    others = builds.make_seed(place)
    return images.rows(place, *((3, 1) if options.quick else (20, 3))), others


def overlay(place: Place, options: argparse.Namespace) -> Rows:
    """An overlay of generated ebuilds."""
    return autogen.rows(place, 300 if options.quick else 5000), []


@dataclass(frozen=True, slots=True)
class Part:
    """What is measured together, and the file below docs/ that has the results."""

    measure: Callable[[Place, argparse.Namespace], Rows]
    file: str
    title: str
    notes: tuple[str, ...]


PARTS: Mapping[str, Part] = {
    "packages": Part(packages, "benchmarks.md", "Benchmarks", NOTES),
    "own-roots": Part(
        own_roots, "benchmarks-own-roots.md", "Benchmarks: roots of their own", OWN_NOTES
    ),
    "catalyst": Part(
        stages, "benchmarks-catalyst.md", "Benchmarks: catalyst's specs", CATALYST_NOTES
    ),
    "service": Part(on_demand, "benchmarks-service.md", "Benchmarks: the service", SERVICE_NOTES),
    "autogen": Part(overlay, "benchmarks-autogen.md", "Benchmarks: autogen", AUTOGEN_NOTES),
    "images": Part(of_images, "benchmarks-images.md", "Benchmarks: images", IMAGES_NOTES),
    "distcc": Part(distributed, "benchmarks-distcc.md", "Benchmarks: distcc", DISTCC_NOTES),
}


def _seed(place: Place) -> Path:
    """The directory of the seed; tools for images may be another one."""
    with Store.open(place.store) as store:
        trees = [store.tree(each.layer).path for each in stored_seeds(store)]
    (seed,) = (each for each in trees if not (each / "usr/bin/mkosi").exists())
    return seed


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the small machine, few runs: a trial")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part; repeatable")
    parser.add_argument("--rounds", type=int, default=2, help="cold builds of each side [2]")
    parser.add_argument(
        "--store",
        type=Path,
        help="directory that keeps seed and sources for the next run (below store/; what was "
        "built in that store is removed)",
    )
    parser.add_argument(
        "--output", type=Path, default=ROOT / "docs", help="the directory of the files"
    )
    options = parser.parse_args()
    if options.store is not None:
        options.store = options.store.absolute()
        options.store.mkdir(parents=True, exist_ok=True)
    return options


if __name__ == "__main__":
    sys.exit(main())
