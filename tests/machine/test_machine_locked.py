"""cloche.lock: what it pins, what it refuses, and a build from it without any network."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
import tiny
from tests.support import WORKBENCH, Store, project

pytestmark = pytest.mark.real

NO_NETWORK = ("unshare", "--net")
MACHINE = """
seed = "debian"
profile = "workbench:default"
portage = ["base"]
packages = ["app-text/tree"]
"""


def one_package(store: Store) -> Path:
    """The workbench with no machine but one of one package, which has a tarball."""
    place = project(store, WORKBENCH)
    for file in (place / "machines").iterdir():
        file.unlink()
    (place / "machines/one.toml").write_text(MACHINE)
    return place


def without_sources(store: Store) -> Store:
    """The store, in which nothing was fetched."""
    for file in (store.path / "distfiles").iterdir():
        file.unlink()
    return store


@pytest.fixture(scope="module")
def pinned(root_seeded: Store, ground: Path) -> tuple[Store, Path]:
    """A store and a project whose machine is locked."""
    (ground / "locked").mkdir()
    store = without_sources(root_seeded.copy(ground / "locked/store"))
    place = one_package(store)
    store.cloche("lock", cwd=place, check=True)
    return store, place


def refused(store: Store, place: Path) -> str:
    told = store.cloche("build", "one", "--locked", "--offline", cwd=place, prefix=NO_NETWORK)
    assert told.returncode == 2, told.stderr
    assert "cloche.lock" in told.stderr
    assert "Traceback" not in told.stderr
    return told.stderr


def test_the_lock_holds_every_input(pinned: tuple[Store, Path]) -> None:
    store, place = pinned
    text = (place / "cloche.lock").read_text()
    data = tomllib.loads(text)
    machine = data["machines"]["one"]
    assert data["version"] == 2
    assert machine["packages"] == ["app-text/tree-2.1.0::workbench"]
    (file,) = machine["distfiles"]
    assert file["name"] == "tree_2.1.0.orig.tar.gz"
    assert file["digest"].startswith("BLAKE2B:")
    assert store.cloche("lock", "--check", cwd=place, check=True).stderr.startswith(
        "one: as locked"
    )
    store.cloche("lock", "one", cwd=place, check=True)
    assert (place / "cloche.lock").read_text() == text


def test_fetch_then_build_elsewhere_without_a_network(
    pinned: tuple[Store, Path], root_seeded: Store, fresh
) -> None:
    store, place = pinned
    told = json.loads(store.cloche("fetch", "--json", cwd=place, check=True).stdout)
    assert told["one"]["missing"] == []
    assert told["one"]["files"] == ["tree_2.1.0.orig.tar.gz"]
    elsewhere = without_sources(fresh(root_seeded))
    for file in (store.path / "distfiles").iterdir():
        shutil.copy2(file, elsewhere.path / "distfiles")
    other = one_package(elsewhere)
    shutil.copy2(place / "cloche.lock", other)
    words = ("--offline", "--locked")
    made = tiny.build(elsewhere, other, *words, machine="one", prefix=NO_NETWORK)
    again = tiny.build(store, place, *words, machine="one", prefix=NO_NETWORK)
    assert made.packages("built") == {"app-text/tree-2.1.0"}
    assert (made.layers, made.delivered) == (again.layers, again.delivered)


def test_an_ordinary_user_builds_from_roots_lock(
    pinned: tuple[Store, Path], ordinary_seeded: Store, fresh
) -> None:
    store, place = pinned
    store.cloche("fetch", cwd=place, check=True)
    own = without_sources(fresh(ordinary_seeded))
    for file in (store.path / "distfiles").iterdir():
        shutil.copy2(file, own.path / "distfiles")
        own.user.own(own.path / "distfiles" / file.name)
    other = one_package(own)
    shutil.copy2(place / "cloche.lock", other)
    own.user.own(other)
    made = tiny.build(own, other, "--offline", "--locked", machine="one")
    again = tiny.build(store, place, "--offline", "--locked", machine="one")
    assert made.layers == again.layers


def test_drift_is_named(pinned: tuple[Store, Path], fresh) -> None:
    store, place = pinned
    lock, ebuild = place / "cloche.lock", place / "repo/app-text/tree/tree-2.1.0.ebuild"
    right, before = lock.read_text(), ebuild.read_text()

    ebuild.write_text(before + "# A comment more.\n")
    assert "repository workbench" in refused(store, place)
    ebuild.write_text(before)

    fragment = place / "portage/base/package.use"
    fragment.mkdir(exist_ok=True)
    (fragment / "more").write_text("app-text/tree nls\n")
    assert "configuration" in refused(store, place)
    (fragment / "more").unlink()

    machine = place / "machines/one.toml"
    machine.write_text(MACHINE.replace('"app-text/tree"', '"app-text/tree", "app-misc/hello"'))
    assert "app-misc/hello-" in refused(store, place)
    machine.write_text(MACHINE)

    lock.write_text(right.replace("BLAKE2B:", "BLAKE2B:0"))
    assert "tree_2.1.0.orig.tar.gz has another digest" in refused(store, place)
    lock.write_text(right.replace("[machines.one]", "[machines.other]"))
    assert "`cloche lock one`" in refused(store, place)
    lock.write_text(right)
    checked = store.cloche("lock", "--check", cwd=place)
    assert checked.returncode == 0, checked.stderr


def test_check_writes_nothing_and_says_what_differs(pinned: tuple[Store, Path]) -> None:
    store, place = pinned
    lock, ebuild = place / "cloche.lock", place / "repo/app-text/tree/tree-2.1.0.ebuild"
    right, before = lock.read_text(), ebuild.read_text()
    more = '[repos.was]\ntype = "directory"\ntree = "00"\n'
    lock.write_text(f"{right}\n{more}")
    ebuild.write_text(before + "# A comment more.\n")
    told = store.cloche("lock", "--check", cwd=place)
    assert told.returncode == 1
    assert "repository workbench" in told.stderr
    assert [line for line in told.stderr.splitlines() if "repository was" in line] == [
        "cloche.lock: the repository was is no longer declared"
    ]
    assert lock.read_text() == f"{right}\n{more}"
    lock.write_text(right)
    ebuild.write_text(before)


def test_what_cannot_be_fetched_is_named(pinned: tuple[Store, Path], root_seeded, fresh) -> None:
    _, place = pinned
    store = without_sources(fresh(root_seeded))
    own = one_package(store)
    shutil.copy2(place / "cloche.lock", own)
    told = store.cloche("fetch", "--locked", cwd=own, prefix=NO_NETWORK)
    assert told.returncode == 1
    assert "1 missing: tree_2.1.0.orig.tar.gz" in told.stderr
    assert "Traceback" not in told.stderr
