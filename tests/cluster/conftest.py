"""What tests with real clusters share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.running import Site, site


@pytest.fixture
def cluster(ground: Path) -> Iterator[Site]:
    """Processes of a test, and a directory for them that every user may enter."""
    room = Path(tempfile.mkdtemp(prefix="cluster-", dir=ground))
    room.chmod(0o755)
    with site(room) as made:
        yield made
    shutil.rmtree(room, ignore_errors=True)
