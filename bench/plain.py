"""The other side: stock Portage in a plain chroot of the same seed, set as a user would have it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.own_project import TOOLCHAIN
from bench.place import BenchError, Place, Ran, run
from cloche.building.context import BuildContext
from cloche.guest.sysroot import TOOLS
from cloche.plan.depgraph import BROOT, Depgraph
from cloche.portage.etc import write_tree
from cloche.session.choices import Choices
from cloche.session.session import open_session
from cloche.tasks import distfiles
from cloche.tasks.guestcall import GUEST

# What the seed lacks the programs for. All else that Portage switches on by itself stays on:
# network-, pid- and ipc-sandbox, merge-sync, userpriv and so on.
LACKING = ("sandbox", "usersandbox")

SETTINGS = f"""\
FEATURES="buildpkg {" ".join(f"-{name}" for name in LACKING)}"
BINPKG_FORMAT="gpkg"
BINPKG_COMPRESS="zstd"
MAKEOPTS="-j2"
"""

# Compilers that look into a root of its own, and a loader for what builds run: as cloche sets them.
OWN = "/own"
LOOK_INTO_IT = f"""
import sys
sys.path.insert(0, "/run/bench")
from pathlib import Path
from guest import sysroot
for directory in ("lib64", "lib", "share"):
    Path("{OWN}/usr", directory, "pkgconfig").mkdir(parents=True, exist_ok=True)
sysroot.prepare(Path("{OWN}"))
"""

# A mount namespace of its own, so that nothing stays mounted.
ENTER = """
set -e
root=$1; shift
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
[ ! -d "$root/sys" ] || mount --rbind /sys "$root/sys"
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Plain:
    """A root with the seed's files, the machine's configuration, repository and distfiles.

    A machine with a root of its own is made below `OWN` in it.
    """

    root: Path
    repositories: str  # repos.conf as PORTAGE_REPOSITORIES
    targets: tuple[str, ...]
    graph: Depgraph
    known: frozenset[str]  # cpv of what the seed counts as installed
    own: bool = False

    def run(self, *words: str, log: Path | None = None) -> Ran:
        """Run a command in there. Raises BenchError."""
        environment = (
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
            "TERM=dumb",
            "NOCOLOR=true",
            "NINJAOPTS=-j2",
            f"PORTAGE_REPOSITORIES={self.repositories}",
            *([f"__PORTAGE_TEST_PATH_OVERRIDE={TOOLS}"] if self.own else []),
        )
        enter = ("unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", ENTER, "sh")
        return run((*enter, self.root, "/usr/bin/env", "-i", *environment, *words), log=log)

    def emerge(self, *words: str) -> Ran:
        """Run emerge."""
        quiet = ("--color=n", "--quiet-build=y", "--nospinner")
        beside = (f"--root={OWN}", f"--sysroot={OWN}") if self.own else ()
        return self.run("/usr/bin/emerge", *quiet, *beside, *words)

    def install(self, jobs: int) -> Ran:
        """Emerge all targets; into a root of its own the toolchain first, which ebuilds imply."""
        words = ("--jobs", str(jobs))
        if not self.own:
            return self.emerge(*words, *self.targets)
        (self.root / OWN.strip("/")).mkdir(exist_ok=True)
        shutil.copytree(GUEST, self.root / "run/bench/guest")
        toolchain = self.emerge(*words, *TOOLCHAIN)
        prepared = self.run("/usr/bin/python3", "-c", LOOK_INTO_IT)
        rest = self.emerge(*words, "--noreplace", *self.targets)
        all_of_it = (toolchain, prepared, rest)
        return Ran(
            rest.out,
            sum(each.seconds for each in all_of_it),
            sum(each.processor for each in all_of_it),
        )

    def installed(self) -> set[str]:
        """Every cpv of the VDBs, but for what was there before; "@broot" is the seed's."""
        over_seed = _installed(self.root) - self.known
        if not self.own:
            return over_seed
        return {f"{cpv}{BROOT}" for cpv in over_seed} | _installed(self.root / OWN.strip("/"))

    def check(self) -> None:
        """Raise BenchError unless just the packages of the plan are there."""
        wanted = {package.cpv + BROOT * package.broot for package in self.graph.packages}
        if wanted != self.installed():
            raise BenchError(f"the plain root differs in: {sorted(wanted ^ self.installed())}")


def make(place: Place, name: str, project: Path, machine: str) -> Plain:
    """Make a plain root beside the store, for a machine whose sources were fetched."""
    with open_session(project, store=place.store) as session:
        builder = session.prepare(machine, Choices(offline=True))
        context, targets = builder.context, session.project.machine(machine).targets
        root = place.directory / name
        _fill(context, root)
        sources = root / "var/cache/distfiles"
        for package in builder.plan.packages:
            for file in package.distfiles:
                shutil.copyfile(distfiles.path_of(context.store, file), sources / file.name)
        repositories = context.inputs.environment["PORTAGE_REPOSITORIES"]
        known = frozenset(_installed(root))
        own = context.inputs.own_root
        return Plain(root, repositories, targets, builder.plan.graph, known, own)


def _installed(root: Path) -> set[str]:
    vdb = root / "var/db/pkg"
    return {str(entry.relative_to(vdb)) for entry in vdb.glob("*/[!.-]*")}


def _fill(context: BuildContext, root: Path) -> None:
    for layer in context.inputs.base:
        if layer.kind != "config":  # the seed, and what it counts as installed
            run(("cp", "-a", "--no-target-directory", layer.path, root))
    etc = root / "etc/portage"
    mirrors = (etc / "mirrors").read_bytes()
    shutil.rmtree(etc)
    write_tree(context.inputs.etc, etc, opaque=())
    (etc / "mirrors").write_bytes(mirrors)
    (etc / "make.conf/zz-bench").write_text(SETTINGS)
    for name, repo in context.inputs.repos.items():
        run(("cp", "-a", repo.path, root / f"var/db/repos/{name}"))
    run(("chown", "-R", "250:250", root / "var/cache/distfiles"))


def packed(plain: Plain, words: Sequence[str], target: Path) -> float:
    """Pack the root with the seed's own tar and zstd into a file outside; give the seconds."""
    script = 'out=$1; root=$2; shift 2; exec chroot "$root" "$@" > "$out"'
    return run(("/bin/sh", "-c", script, "sh", target, plain.root, *words)).seconds
