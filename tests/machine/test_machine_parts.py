"""Real trees in parts: the Debian seed by dpkg's lists, a machine by what Portage wrote of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import msgspec
import pytest
import tiny
from tests.seeds.dividing import files_of, split, whole_again
from tests.support import Store as Seeded
from tests.support import project

from cloche.config.lock import TreeSeed
from cloche.config.project import load_project
from cloche.layers import commit, flatten, stored_layer
from cloche.seeds.parts.splitting import REST
from cloche.seeds.stored import Seed, stored_as
from cloche.store import Store

pytestmark = pytest.mark.real


@pytest.fixture
def room(ground: Path) -> Iterator[Path]:
    """A directory on the file system of the tests' stores, so that links can be made."""
    path = ground / "parts"
    path.mkdir()
    yield path
    subprocess.run(["rm", "-rf", path], check=True)


def seed_of(store: Store) -> Path:
    """The tree of the store's seed."""
    return next(tree.path for tree in store.trees() if tree.kind == "seed")


def test_the_debian_seed_is_whole_again(root_seeded: Seeded, room: Path) -> None:
    with Store.open(root_seeded.path) as seeded, Store.open(room / "store") as store:
        seed = seed_of(seeded)
        parts = split(store, seed)
        assert "usr/bin/autoconf" in files_of(parts["autoconf"])
        rest = files_of(parts[REST])
        assert "etc/passwd" in rest
        assert not any(name.endswith(".so.6") for name in rest)
        whole_again(seed, parts, room, 1)


def test_a_machine_that_portage_merged_is_whole_again(root_seeded: Seeded, room: Path) -> None:
    made = tiny.built_once(root_seeded)
    root = room / "root"
    with Store.open(made.store.path) as built, Store.open(room / "store") as store:
        layers = {name: stored_layer(built, id) for name, id in made.layers.items()}
        links = room / "links"  # those of the merged /usr, which the packages were merged over
        links.mkdir()
        for link in seed_of(built).iterdir():
            if link.is_symlink():
                (links / link.name).symlink_to(link.readlink())
        flatten([links, *(layer.path for layer in layers.values())], root)
        parts = split(store, root)
        assert parts.keys() == {*layers, REST}
        for name, layer in layers.items():
            assert files_of(parts[name]) <= files_of(layer)
        assert sum(len(files_of(parts[name])) for name in layers) > len(layers)
        whole_again(root, parts, room, 1, 2)


def test_a_strict_build_sees_the_packages_of_the_seeds_vdb_that_it_declares(
    root_seeded: Seeded, fresh
) -> None:
    made = tiny.built_once(root_seeded)
    stored = fresh(made.store)
    where = project(stored, tiny.PROJECT)
    with (where / "cloche.toml").open("a") as text:
        text.write('[seeds.gentoo]\ntype = "directory"\npath = "/nonexistent"\n')
    place = where / "repo/tiny/uses/uses-1.ebuild"
    place.parent.mkdir()
    place.write_text(tiny.USES)
    machine = 'seed = "gentoo"\nprofile = "tiny:default"\npackages = ["tiny/uses"]\n'
    (where / "machines/uses.toml").write_text(machine)
    with Store.open(stored.path) as store, store.workspace("test") as room:
        flatten(
            [seed_of(store), *(store.layers / id for id in made.layers.values())], room / "root"
        )
        layer = commit(store, room / "root", kind="seed", label="gentoo")
        about = Seed(
            "gentoo", layer.id, "directory", "", "amd64", "x86_64-pc-linux-gnu", 6, "3", 1.0
        )
        lock = msgspec.to_builtins(TreeSeed("directory", layer=layer.id))
        name = stored_as(load_project(where).seeds["gentoo"]) + layer.id[:12]
        store.pin(name, (layer.id,), (), {"about": asdict(about), "lock": lock})
    strict = tiny.build(stored, where, "--strict", machine="uses")
    assert strict.packages("built") == {"tiny/uses-1"}
