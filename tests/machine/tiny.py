"""The project of tiny packages: building it, and what there is to know of a build."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.support import Root, Store, once, project, with_own_root

PROJECT = Path(__file__).parent / "projects/tiny"
PACKAGES = {f"tiny/{name}-1" for name in ("leaf", "greet", "report", "first", "second", "census")}
#: With a root of its own; census would need in the seed the users that others make in the root.
OWN_TARGETS = ("tiny/report", "tiny/first", "tiny/second")
OWN_PACKAGES = {
    *(PACKAGES - {"tiny/census-1"}),
    *("tiny/leaf-1@broot", "tiny/greet-1@broot"),
    *("sys-apps/baselayout-1", "sys-libs/glibc-2.36", "sys-devel/gcc-12", "app-shells/dash-1"),
}

#: An ebuild for another machine, whose seed has the packages of this one.
USES = """EAPI=8
DESCRIPTION="sees of the seed what it declares"
HOMEPAGE="https://example.org/parts"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
BDEPEND="tiny/greet"
src_compile() {
    greet > said || die "what greet needs at run time is not there"
    has_version -b tiny/leaf || die "what greet needs is not known to be there"
    has_version -b tiny/census && die "a package shows that is not declared"
    test -e /usr/share/census && die "its files show"
}
src_install() {
    insinto /usr/share/uses
    doins said
}
"""


@dataclass(frozen=True)
class Build:
    """One run of ``cloche build``: its events, and digests of all that it delivered."""

    store: Store
    project: Path
    events: tuple[Mapping[str, Any], ...]
    delivered: Mapping[str, str]

    @property
    def layers(self) -> dict[str, str]:
        """The layer of each package; of those over the seed for builds, "@broot" ends the name."""
        return {_name(e["package"]): e["layer"] for e in self.events if e["event"] == "done"}

    def packages(self, how: str) -> set[str]:
        """Packages that were "built" or "reused"."""
        return {_name(e["package"]) for e in self.events if e.get("how") == how}

    def stages_done_again(self) -> set[str]:
        """Stages that an earlier build had not done already."""
        ends = [e for e in self.events if e["event"] == "stage" and e["state"] == "end"]
        return {e["name"] for e in ends if not e["reused"]}


def build(store: Store, place: Path, *arguments: str, machine: str = "tiny", **more: Any) -> Build:
    """Build a machine of the project ``place``; it has to work."""
    done = store.cloche(
        "-C", place, "build", machine, "--progress", "json", *arguments, check=True, **more
    )
    events = tuple(map(json.loads, done.stdout.splitlines()))
    return Build(store, place, events, delivered(place / "out" / machine))


@cache
def built_once(store: Store, root: Root = "seed") -> Build:
    """A build from nothing, in a copy of a seeded store: once a run, for tests that only look."""
    name = "tiny" if root == "seed" else "tiny-own"
    parent = store.path.parent / name
    kept = store.path.parent / f"{name}.pickle"
    with once(store.path.parent, name) as first:
        if not first:
            made: Build = pickle.loads(kept.read_bytes())
            return made
        parent.mkdir()
        store.user.own(parent)
        copy = store.copy(parent / "store")
        made = build(copy, place_for(copy, root))
        kept.write_bytes(pickle.dumps(made))
    return made


def place_for(store: Store, root: Root = "seed") -> Path:
    """A copy of the project; the machine has a root of its own, or is its seed and packages."""
    place = project(store, PROJECT)
    if root == "own":
        with_own_root(place, "tiny", *OWN_TARGETS)
        store.user.own(place)
    return place


def packages_in(root: Root) -> set[str]:
    """The packages of the machine's plan."""
    return PACKAGES if root == "seed" else OWN_PACKAGES


def fresh_copy(made: Build, store: Store) -> Build:
    """The same build, for a test that changes things: project and store are its own."""
    place = project(store, made.project, "tiny")
    return Build(store, place, made.events, made.delivered)


def delivered(directory: Path) -> dict[str, str]:
    """SHA-256 of each delivered file, without the index, which has the time, and our mark."""
    found = {}
    for path in sorted(directory.rglob("*")):
        if path.is_file() and path.name not in ("Packages", ".cloche"):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            found[os.fspath(path.relative_to(directory))] = digest
    return found


def plan(made: Build) -> dict[str, str]:
    """What ``cloche plan`` says that a build would do with each package."""
    told = made.store.cloche("plan", "tiny", "--json", cwd=made.project, check=True)
    return {p["cpv"]: p["fate"] for p in json.loads(told.stdout)["packages"]}


def _name(package: str) -> str:
    """An id without its repository."""
    return re.sub(r"::[^@]*", "", package)
