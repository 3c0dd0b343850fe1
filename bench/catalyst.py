"""A stage1 of a small release: by cloche from its spec, and by catalyst's emerge calls in a chroot.

`cloche catalyst lint` and plans are measured over as many specs as releng has.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.releng.release import STAMP, TREEISH, make_release
from tests.support import Store as TestedStore
from tests.support import User

from bench.place import ROOT, BenchError, Build, Place, Ran, run, say, settle
from bench.plain import ENTER
from bench.table import Aim, Row, median_row
from cloche.catalyst.conf import read_conf
from cloche.catalyst.machines import project_of
from cloche.catalyst.making import Inputs
from cloche.catalyst.plan import plan_spec
from cloche.catalyst.spec import read_spec
from cloche.catalyst.subarchs import subarch_of
from cloche.errors import Exit

SPEC = "stage1"
CHANGED = "net-misc/wget"  # no other package of the stage needs it to be built
TOKENS = (("TIMESTAMP", STAMP), ("TREEISH", TREEISH))
TARGET = "/tmp/stage1root"
#: The environment that catalyst 4 sets in the chroot of a stage1.
ENVIRONMENT = (
    "PATH=/bin:/sbin:/usr/bin:/usr/sbin",
    "TERM=dumb",
    "MAKEOPTS=-j2 -l4.0",
    "FEATURES=nodoc noman noinfo -news binpkg-multi-instance clean-logs parallel-install",
    "CONFIG_PROTECT=-*",
    "LC_ALL=C.UTF-8",
)
OPTIONS = ("--quiet", "--color=n", "--jobs", "2", "--load-average", "4.0")
PACKED = ("--usepkg", "--buildpkg", "--binpkg-respect-use=y", "--newuse")
CONF = """\
COMMON_FLAGS="-O2 -pipe"
CFLAGS="${COMMON_FLAGS}"
CXXFLAGS="${COMMON_FLAGS}"
CHOST="x86_64-pc-linux-gnu"
FEATURES="-sandbox -usersandbox"
"""
#: The number of specs of each target in releng.git (2026-06-28).
RELENG = {"stage3": 183, "stage1": 177, "livecd-stage1": 15, "livecd-stage2": 12, "stage4": 19}


@dataclass(frozen=True, slots=True)
class Release:
    """The release's files, and where cloche keeps what it builds."""

    place: Place
    directory: Path

    def build(self, *words: str) -> Build:
        """``cloche catalyst -f stage1.spec``. Raises BenchError."""
        tokens = [f"--set={name}={value}" for name, value in TOKENS]
        specs = self.directory / "specs"
        given: tuple[str | Path, ...] = (
            "-c",
            specs / "catalyst.conf",
            "-f",
            specs / f"{SPEC}.spec",
            *tokens,
        )
        catalyst = ("catalyst", *given, "--progress", "json", *words)
        ran = self.place.cloche(self.directory, *catalyst)
        events = tuple(map(json.loads, ran.out.splitlines()))
        return Build(ran.seconds, ran.processor, events)

    def changed(self, number: int) -> None:
        """Change what one package of stage1 installs, and make the snapshot again.

        A comment in an ebuild would not do: the layer would be the same.
        """
        (ebuild,) = (self.directory / "repo" / CHANGED).glob("*.ebuild")
        text = re.sub('(?m)^DESCRIPTION="', f'DESCRIPTION="{number}, ', ebuild.read_text(), count=1)
        ebuild.write_text(text)
        snapshot = self.directory / f"store/snapshots/gentoo-{TREEISH}.sqfs"
        snapshot.unlink()
        tool = ("mksquashfs", self.directory / "repo", snapshot)
        run((*tool, "-quiet", "-no-progress", "-all-root"))


def rows(place: Place, rounds: int) -> list[Row]:
    """Everything built with nothing cached, with one package changed, with nothing changed."""
    directory = place.directory / "release"
    directory.mkdir()
    user = User("root", place.directory, sys.executable, ROOT / "src")
    make_release(directory, TestedStore(place.store, user))
    release = Release(place, directory)
    say("  once, to import the source")
    release.build()
    cold, emerge = [], []
    for number in range(rounds):
        place.forget()
        settle()
        say("  cloche catalyst")
        build = release.build()
        if build.packages("reused"):
            raise BenchError("a cold build reused something")
        cold.append(build.seconds - build.stage("pack"))
        settle()
        say("  catalyst's emerge calls")
        emerge.append(_in_a_chroot(release, place.directory / f"chroot-{number}"))
    packages = len(build.packages("built"))
    what = f"stage1 of {packages} packages by `cloche catalyst`, the tarball left out"
    calls = "the same emerge calls in a plain chroot, with catalyst's FEATURES and options"
    median = statistics.median(emerge)
    return [
        median_row(f"{what}: nothing cached", cold, "s", (emerge, calls), Aim(0.9)),
        *_again_rows(release, rounds, median),
    ]


def _again_rows(release: Release, rounds: int, emerge: float) -> list[Row]:
    same, beside = [], []
    for _ in range(rounds):
        settle()
        same.append(release.build().seconds)
    for number in range(rounds):
        release.changed(number)
        settle()
        build = release.build("--update")
        if [name.rpartition("-")[0] for name in build.packages("built")] != [CHANGED]:
            raise BenchError(f"{CHANGED} changed, built: {build.packages('built')}")
        beside.append(build.seconds - sum(build.took().values()) - build.stage("pack"))
    what = "`cloche catalyst` of that stage1 again"
    other = ((emerge,), "those emerge calls")
    return [
        median_row(f"{what}, nothing changed: whole command", same, "s", aim=Aim(3, of="value")),
        median_row(
            f"{what}, one package changed: beside its build and merge, the tarball left out",
            beside,
            "s",
            other,
            Aim(0.03),
        ),
    ]


def _in_a_chroot(release: Release, root: Path) -> float:
    """Unpack the source, and emerge there, in their order, what catalyst emerges for a stage1.

    Gives the seconds of emerge alone.
    """
    (source,) = (release.directory / "store/builds/r1-default").glob("stage3-amd64-seed-latest.*")
    root.mkdir()
    run(("tar", "--xattrs", "--numeric-owner", "-xpf", source, "-C", root))
    etc = root / "etc/portage"
    shutil.rmtree(etc, ignore_errors=True)
    shutil.copytree(release.directory / "inputs/confdir", etc)
    (etc / "make.conf").write_text(CONF + 'USE="bindist"\n')
    (etc / "make.profile").symlink_to("../../var/db/repos/gentoo/profiles/default/linux/amd64/r1")
    (etc / "repos.conf").mkdir()
    (etc / "repos.conf/gentoo.conf").write_text("[gentoo]\nlocation = /var/db/repos/gentoo\n")
    run(("cp", "-a", release.directory / "repo", root / "var/db/repos/gentoo"))
    distfiles = root / "var/cache/distfiles"
    run(("cp", "-aT", release.directory / "store/distfiles", distfiles))
    run(("chown", "-R", "250:250", distfiles))
    lines = (release.directory / "repo/profiles/base/packages.build").read_text().split()
    build = "USE=-* build bindist"
    seconds = _emerge(root, (), "--buildpkg=n", "--update", "--deep", "--newuse", "--oneshot",
                      "app-editors/ed").seconds  # fmt: skip
    (root / TARGET.strip("/")).mkdir(parents=True)
    into = f"ROOT={TARGET}"
    layout = (*PACKED, "--oneshot", "--nodeps", "sys-apps/baselayout")
    seconds += _emerge(root, (into, "USE=build"), *layout).seconds
    rest = (*PACKED, "--implicit-system-deps=n", "--oneshot", *lines)
    seconds += _emerge(root, (into, build), *rest).seconds
    release.place.removed(root)
    return seconds


def _emerge(root: Path, environment: tuple[str, ...], *words: str) -> Ran:
    enter = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", ENTER, "sh", root)
    variables = ("/usr/bin/env", "-i", *ENVIRONMENT, *environment)
    return run((*enter, *variables, "/usr/bin/emerge", *OPTIONS, *words))


def spec_rows(place: Place) -> list[Row]:
    """Lint and plan as many specs as releng has, and make machines of them."""
    directory = place.directory / "specs"
    directory.mkdir()
    for target, number in RELENG.items():
        text = (ROOT / f"tests/catalyst/release/{target}.spec").read_text()
        for each in range(number):
            stamped = text.replace("version_stamp: ", f"version_stamp: v{each}-")
            (directory / f"{target}-{each}.spec").write_text(stamped)
    files = sorted(directory.glob("*.spec"))
    command = (sys.executable, "-m", "cloche.cli", "catalyst", "lint", directory)
    began = time.monotonic()
    done = subprocess.run([*command, "--json"], capture_output=True, check=False, cwd=ROOT)
    linted = time.monotonic() - began
    if done.returncode not in (0, Exit.FAILED):  # it may find faults in the specs
        raise BenchError(done.stderr.decode(errors="replace"))
    conf = read_conf([])
    began = time.monotonic()
    for file in files:
        spec = read_spec(file, lambda text: text)
        plan_spec(spec, conf, [])
        if spec.text("target") in ("stage1", "stage3", "stage4", "livecd-stage1"):
            project_of(spec, conf, Inputs(subarch_of(spec, conf), Path("/s"), Path("/t")))
    planned = time.monotonic() - began
    count = f"{len(files)} specs"
    return [
        Row(f"`cloche catalyst lint` of {count}", linted, "s", aim=Aim(10, of="value")),
        Row(f"{count} to plans and machines", planned, "s", aim=Aim(30, of="value")),
    ]
