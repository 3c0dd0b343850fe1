"""A repository without a metadata cache gets one, made by egencache, kept and made anew in part."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

from cloche.building.metadata import LEAST

pytestmark = pytest.mark.real

PROJECT = Path(__file__).parents[1] / "faults/project"
EBUILD = """EAPI=8
[[ ${EBUILD_PHASE} == depend ]] && echo "sourced ${PF}" >&2
DESCRIPTION="one of many"
HOMEPAGE="https://example.org/many"
S="${WORKDIR}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64"
"""
LOOKS = """
src_compile() {
    [[ ! -e /var/db/repos/faults/metadata/md5-cache ]] || die "a build sees the cache"
}
"""
CHANGED = 'RDEPEND="many/p5"\n'


def repository(where: Path) -> None:
    """As many ebuilds as a cache is made for; the first needs the second."""
    for number in range(LEAST):
        place = where / f"repo/many/p{number}"
        place.mkdir(parents=True)
        body = 'RDEPEND="many/p1"\n' if number == 0 else LOOKS
        (place / f"p{number}-1.ebuild").write_text(EBUILD + body)
    with (where / "repo/profiles/categories").open("a") as categories:
        categories.write("many\n")


def machine(where: Path, *packages: str) -> None:
    """Write the machine "many"."""
    wanted = json.dumps(packages)
    text = f'seed = "debian"\nprofile = "faults:default"\npackages = {wanted}\n'
    (where / "machines/many.toml").write_text(text)


def plan(store: Store, where: Path) -> tuple[set[str], bool]:
    """What a build would make, and whether a cache was made for that."""
    done = store.cloche("plan", "many", "--json", cwd=where, check=True)
    packages = {package["cpv"] for package in json.loads(done.stdout)["packages"]}
    return packages, "metadata of faults: " in done.stderr


def sourced(store: Store, step: str) -> set[str]:
    """The ebuilds whose metadata was taken from themselves, by the last log of a step."""
    logs = sorted((store.path / "logs").glob(f"machine/many@*/*-{step}.log*"))
    read = gzip.open if logs[-1].suffix == ".gz" else open
    with read(logs[-1], "rt") as log:
        return {line.split()[1] for line in log if line.startswith("sourced ")}


@pytest.fixture
def place(root_seeded: Store, fresh) -> tuple[Store, Path]:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    repository(where)
    return store, where


def test_a_cache_is_made_once_and_what_changed_is_made_again(place: tuple[Store, Path]) -> None:
    store, where = place
    machine(where, "many/p0")
    assert plan(store, where) == ({"many/p0-1", "many/p1-1"}, True)
    assert len(sourced(store, "metadata")) == LEAST
    assert sourced(store, "resolve") == set()

    tiny.build(store, where, machine="many")  # p1 looks around
    assert sourced(store, "finish") == set()  # though it reads of p0 for the world file
    store.cloche("store", "gc", cwd=where, check=True)
    machine(where, "many/p0", "many/p2")
    assert plan(store, where) == ({"many/p0-1", "many/p1-1", "many/p2-1"}, False)

    (where / "repo/many/p0/p0-1.ebuild").write_text(EBUILD + CHANGED)
    assert plan(store, where) == ({"many/p0-1", "many/p5-1", "many/p2-1"}, True)
    assert sourced(store, "metadata") == {"p0-1"}
    assert sourced(store, "resolve") == set()


def test_a_seed_without_egencache_is_told_and_resolves_all_the_same(
    place: tuple[Store, Path],
) -> None:
    store, where = place
    machine(where, "many/p0")
    layers = store.path / "layers"
    for program in layers.glob("*/usr/bin/egencache"):
        subprocess.run(["rm", program], check=True)  # of this copy alone: a link to the others'
    done = store.cloche("plan", "many", "--json", cwd=where, check=True)
    assert "no metadata cache for faults: the seed's Portage has no egencache" in (done.stderr)
    assert {p["cpv"] for p in json.loads(done.stdout)["packages"]} == {"many/p0-1", "many/p1-1"}
    assert sourced(store, "resolve") >= {"p0-1", "p1-1"}
