"""Packages are the same under every engine: ids of layers, binary packages.

Under podman and chroot not those that look at what differs there on purpose: /etc/hostname, the
host's name. So it is two packages that do not, for the time, too, that each build takes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from tests.support import Store, project

pytestmark = pytest.mark.real

PROVEN = [pytest.param(e, marks=pytest.mark.proof(name="engines")) for e in ("nspawn", "podman")]
ENGINES = ("bwrap", "oci:runc", "chroot", *PROVEN)
FOR_USERS = ("oci:crun",)  # the others differ less there
PAIR = """seed = "debian"
profile = "tiny:default"
portage = ["base"]
packages = ["tiny/greet"]
"""
PACKAGES = {"tiny/leaf-1", "tiny/greet-1"}


def paired(seeded: Store, parent: Path) -> Store:
    """A store in which native has resolved the pair, for a build to begin with the packages."""
    parent.mkdir()
    seeded.user.own(parent)
    store = seeded.copy(parent / "store")
    store.cloche("plan", "pair", cwd=pair(store), check=True)
    return store


def pair(store: Store) -> Path:
    place = project(store, tiny.PROJECT, "tiny")
    (place / "machines/pair.toml").write_text(PAIR)
    return place


@pytest.fixture(scope="module")
def resolved(root_seeded: Store) -> Store:
    return paired(root_seeded, root_seeded.path.parent / "pair")


def check(engine: str, seeded: Store, resolved: Store, fresh) -> None:
    """Build the pair, and compare with native's build of the whole machine."""
    native = tiny.built_once(seeded)
    store = fresh(resolved)
    made = tiny.build(store, pair(store), "--engine", engine, machine="pair")
    assert made.packages("built") == PACKAGES
    assert made.layers == {cpv: native.layers[cpv] for cpv in PACKAGES}
    assert made.delivered.items() <= native.delivered.items()
    assert len(made.delivered) == len(PACKAGES)


@pytest.mark.parametrize("engine", ENGINES)
def test_as_root(engine: str, root_seeded: Store, resolved: Store, fresh) -> None:
    check(engine, root_seeded, resolved, fresh)


@pytest.mark.parametrize("engine", FOR_USERS)
def test_as_an_ordinary_user_from_the_seed(engine: str, ordinary_seeded: Store, fresh) -> None:
    check(engine, ordinary_seeded, ordinary_seeded, fresh)
