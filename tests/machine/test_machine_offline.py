"""Invariant 7: ``--offline`` gives the same result, or says which input is missing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny
from tests.support import WORKBENCH, Store, project

pytestmark = pytest.mark.real

# A network namespace with no interface but a loopback that is down.
NO_NETWORK = ("unshare", "--net")
MACHINE = """
seed = "debian"
profile = "workbench:default"
portage = ["base"]
packages = ["app-text/tree"]
"""


def one_package(store: Store) -> Path:
    """The workbench with a machine of one package, which has a tarball to be fetched."""
    place = project(store, WORKBENCH)
    (place / "machines/one.toml").write_text(MACHINE)
    return place


@pytest.fixture(scope="module")
def online(root_seeded: Store, ground: Path) -> tiny.Build:
    (ground / "online").mkdir()
    store = root_seeded.copy(ground / "online/store")
    made = tiny.build(store, one_package(store), machine="one")
    assert [e["file"] for e in made.events if e["event"] == "fetched"] == ["tree_2.1.0.orig.tar.gz"]
    return made


def test_what_was_fetched_before_is_built_the_same_without_a_network(
    online: tiny.Build, root_seeded: Store, fresh
) -> None:
    store = fresh(root_seeded)
    for file in (online.store.path / "distfiles").iterdir():
        shutil.copy2(file, store.path / "distfiles")
    made = tiny.build(store, one_package(store), "--offline", machine="one", prefix=NO_NETWORK)
    assert made.packages("built") == {"app-text/tree-2.1.0"}
    assert made.layers == online.layers
    assert made.delivered == online.delivered


def test_a_user_may_bring_the_sources_in_a_directory(
    online: tiny.Build, root_seeded: Store, fresh
) -> None:
    store = fresh(root_seeded)
    place = one_package(store)
    (place / "sources").mkdir()
    (file,) = (online.store.path / "distfiles").iterdir()
    shutil.copy2(file, place / "sources/tree_2.1.0.orig.tar.gz")
    (place / "sources/unrelated.tar.gz").write_bytes(b"")
    with (place / "cloche.toml").open("a") as toml:
        toml.write('\n[build]\ndistfiles = "sources"\n')
    made = tiny.build(store, place, "--offline", machine="one", prefix=NO_NETWORK)
    assert made.delivered == online.delivered


@pytest.mark.parametrize("offline", [True, False], ids=["--offline", "no network"])
def test_a_missing_source_is_named(root_seeded: Store, fresh, offline: bool) -> None:
    store = fresh(root_seeded)
    arguments = ("--offline",) if offline else ()
    told = store.cloche(
        "build", "one", *arguments, cwd=one_package(store), prefix=NO_NETWORK, timeout=120
    )
    assert told.returncode in (1, 2)
    assert "Traceback" not in told.stderr
    assert "tree_2.1.0.orig.tar.gz" in told.stderr
    if offline:
        # The error and nothing else, on one line, and the line that ends the command.
        assert "tree_2.1.0.orig.tar.gz" in "".join(
            line for line in told.stderr.splitlines() if "app-text/tree-2.1.0" in line
        )
    assert not list((store.path / "distfiles").iterdir())


def test_without_its_seed_a_machine_cannot_be_built_and_cloche_says_so(
    root_seeded: Store, fresh
) -> None:
    store = fresh(root_seeded)
    empty = Store(store.path.parent / "empty", store.user)
    told = empty.cloche("build", "one", "--offline", cwd=one_package(store), prefix=NO_NETWORK)
    assert told.returncode == 2
    assert told.stderr.count("\n") == 1
    assert "seed" in told.stderr
