"""What the tests of failures share: their project, and a terminal."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, InTerminal
from tests.support import Store, project


@pytest.fixture(scope="module")
def faulty(ordinary_seeded: Store) -> Iterator[tuple[Store, Path]]:
    """The ordinary user's store, and a copy of the project with all that goes wrong."""
    yield from _with_project(ordinary_seeded)


@pytest.fixture(scope="module")
def faulty_root(root_seeded: Store) -> Iterator[tuple[Store, Path]]:
    """The same of root."""
    yield from _with_project(root_seeded)


def _with_project(store: Store) -> Iterator[tuple[Store, Path]]:
    copy = project(store, PROJECT)
    yield store, copy
    subprocess.run(["rm", "-rf", copy.parent], check=True)


@pytest.fixture
def terminal() -> Callable[..., InTerminal]:
    """Start ``cloche ARGUMENTS`` of a store in a terminal."""

    def start(store: Store, *arguments: str, cwd: Path) -> InTerminal:
        command = store.user.command("--store", store.path, *arguments)
        return InTerminal(command, cwd, store.user.environment(None))

    return start
