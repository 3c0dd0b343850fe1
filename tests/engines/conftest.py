"""A root and a user for the tests of engines."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engines.driving import make_root
from tests.support import cannot

from cloche.sandbox import userns

USER = f"cloche-test-{os.getpid()}"  # two runs may share a machine


@pytest.fixture(scope="session")
def small_root() -> Iterator[Path]:
    # Not pytest's own directory, which each start of pytest closes to other users again.
    with tempfile.TemporaryDirectory(prefix="cloche-engines-") as directory:
        Path(directory).chmod(0o755)
        make_root(Path(directory, "root"))
        yield Path(directory, "root")


@pytest.fixture(scope="session")
def small_user() -> Iterator[str]:
    if not userns.is_real_root():
        cannot("making a user needs root")
    subprocess.run(["useradd", "--no-create-home", USER], check=True, capture_output=True)
    given = f":{USER}:" in ":" + Path("/etc/subuid").read_text().replace("\n", ":")
    if not given:
        ranges = ["--add-subuids", "900000-965535", "--add-subgids", "900000-965535"]
        subprocess.run(["usermod", *ranges, USER], check=True)
    try:
        yield USER
    finally:
        subprocess.run(["userdel", USER], check=False, capture_output=True)


@pytest.fixture(scope="session")
def users_root(small_root: Path, small_user: str) -> Path:
    """A root that belongs to the user, in a directory that does as well."""
    directory = small_root.parent / "user-work"
    directory.mkdir()
    own = directory / "root"
    shutil.copytree(small_root, own)
    for path in (directory, own, *own.rglob("*")):
        shutil.chown(path, small_user, small_user)
    return own
