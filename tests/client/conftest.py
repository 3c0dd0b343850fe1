"""Targets for the tests of the client."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from target_root import ISOLATION, REPOSITORY, Target, make_target
from tests.support import Store


@pytest.fixture
def target(root_seeded: Store, ground: Path) -> Iterator[Target]:
    """A target over the seed, which goes away after the test."""
    place = Path(tempfile.mkdtemp(prefix="target-", dir=ground))
    yield make_target(root_seeded.seed_layer, place)
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def packages(root_seeded: Store, ground: Path) -> Iterator[Path]:
    """What the service would make: binary packages of `REPOSITORY`, with their index."""
    place = Path(tempfile.mkdtemp(prefix="builder-", dir=ground))
    builder = make_target(root_seeded.seed_layer, place, REPOSITORY)
    features = f"{ISOLATION} binpkg-multi-instance"
    builder.run("emerge", "--buildpkg", "app-misc/tool", FEATURES=features, BINPKG_FORMAT="gpkg")
    yield place / "upper/var/cache/binpkgs"
    shutil.rmtree(place)


@pytest.fixture
def weak(root_seeded: Store, ground: Path) -> Iterator[Target]:
    """A target with that repository."""
    place = Path(tempfile.mkdtemp(prefix="target-", dir=ground))
    target = make_target(root_seeded.seed_layer, place, REPOSITORY)
    target.write("etc/portage/make.conf", f'FEATURES="{ISOLATION}"\n')
    yield target
    shutil.rmtree(place)
