"""The wrapper, compiled once, and hosts for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.distcc.farm import Farm, farm

from cloche.distcc.install import install


@pytest.fixture(scope="session")
def wrapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program `cloche-distcc`."""
    return install(tmp_path_factory.mktemp("distcc"))[0]


@pytest.fixture(scope="module")
def hosts() -> Iterator[Farm]:
    """Two hosts that serve."""
    with farm() as made:
        yield made
