"""Real trees in parts: the Debian seed by dpkg's lists, a machine by what Portage wrote of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from tests.parts import files_of, split, whole_again
from tests.support import Store as Seeded

from cloche.layers import flatten, stored_layer
from cloche.seeds.splitting import REST
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
