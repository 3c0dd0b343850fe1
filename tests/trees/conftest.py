"""What the tests of repositories begin with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.mirrors import Signer, signer
from tests.trees.published import Ground, write_repository

from cloche.store import Store


@pytest.fixture(scope="session")
def key() -> Iterator[Signer]:
    """Who signs what is published."""
    with signer() as made:
        yield made


@pytest.fixture
def ground(tmp_path: Path, key: Signer) -> Iterator[Ground]:
    (tmp_path / "project").mkdir()
    write_repository(tmp_path / "published")
    with Store.open(tmp_path / "store") as store:
        made = Ground(tmp_path, store, key)
        key.keyring(made.keys)
        yield made


@pytest.fixture
def git() -> Callable[..., str]:
    """Run git as somebody who publishes a repository."""
    names = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
    own = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}

    def run(place: Path, *words: str | Path) -> str:
        command = ["git", "-C", place, *words]
        env = own | dict.fromkeys(names, "somebody@test.invalid")
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    return run
