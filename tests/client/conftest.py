"""Targets for the tests of the client."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from target_root import Target, make_target
from tests.support import Store


@pytest.fixture
def target(root_seeded: Store, ground: Path) -> Iterator[Target]:
    """A target over the seed, which goes away after the test."""
    place = Path(tempfile.mkdtemp(prefix="target-", dir=ground))
    yield make_target(root_seeded.seed_layer, place)
    shutil.rmtree(place)
