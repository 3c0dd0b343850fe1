"""What a build writes lies on the host's file system: another user of the host does not reach it.

A sandbox may leave setuid programs of root there. `tmp`, `failed` and each workspace are closed to
others, whatever the modes above them are.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.sandbox import userns
from cloche.store import Store

pytestmark = pytest.mark.real


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may enter, as pytest's own is not."""
    if not userns.is_real_root():
        cannot("another user is needed")
    path = Path(tempfile.mkdtemp(prefix="cloche-privacy-", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def setuid(directory: Path) -> Path:
    """A setuid program that tells who it runs as."""
    program = directory / "id"
    shutil.copy("/usr/bin/id", program)
    program.chmod(0o4755)
    return program


def run(program: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as a user without any rights."""
    who = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    # Not by setpriv itself, which has its capabilities until it executes something.
    words = [*who, "env", str(program), "-u"]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_a_setuid_program_of_a_build_is_out_of_reach(place: Path) -> None:
    assert run(setuid(place)).stdout == "0\n"  # where nothing protects it
    with Store.open(place / "store") as store, store.workspace("build") as workspace:
        assert store.path.stat().st_mode & 0o777 == 0o700
        store.path.chmod(0o755)  # as somebody may do who shares the layers
        (store.failed / "root").mkdir()
        for directory in (workspace, store.tmp, store.failed / "root"):
            told = run(setuid(directory))
            assert (told.returncode, told.stdout) == (126, ""), told
        store.tmp.chmod(0o755)
        assert run(workspace / "id").returncode == 126
