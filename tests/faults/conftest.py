"""What the tests of failures share: their project, and a terminal."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, InTerminal
from tests.support import Store, project


@pytest.fixture(scope="module")
def faulty(ordinary_seeded: Store, ground: Path) -> Iterator[tuple[Store, Path]]:
    """A store of the ordinary user's, and a copy of the project with all that goes wrong."""
    yield from _with_project(ordinary_seeded, ground)


@pytest.fixture(scope="module")
def faulty_root(root_seeded: Store, ground: Path) -> Iterator[tuple[Store, Path]]:
    """The same of root."""
    yield from _with_project(root_seeded, ground)


def _with_project(seeded: Store, ground: Path) -> Iterator[tuple[Store, Path]]:
    room = Path(tempfile.mkdtemp(prefix="faulty-", dir=ground))
    room.chmod(0o755)
    store = seeded.copy(seeded.user.own(room) / "store")
    copy = project(store, PROJECT)
    yield store, copy
    subprocess.run(["rm", "-rf", copy.parent, room], check=True)


@pytest.fixture
def terminal() -> Callable[..., InTerminal]:
    """Start ``cloche ARGUMENTS`` of a store in a terminal."""

    def start(store: Store, *arguments: str, cwd: Path) -> InTerminal:
        command = store.user.command("--store", store.path, *arguments)
        return InTerminal(command, cwd, store.user.environment(None))

    return start
