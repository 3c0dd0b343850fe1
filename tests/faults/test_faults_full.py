"""A file system that fills up: a clear error; with room again, the next run goes on."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, machine, said, settled
from tests.support import Store, project

pytestmark = pytest.mark.real

MIB = 1 << 20


@pytest.fixture
def small(root_seeded: Store, ground: Path) -> Iterator[Store]:
    """A copy of the store on a file system of its own, with 400 MiB of room; 256 are kept free."""
    used = subprocess.run(
        ["du", "-sm", root_seeded.path], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    place = Path(tempfile.mkdtemp(prefix="small-", dir=ground))
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={int(used) + 400}m,mode=755", "small", place],
        check=True,
    )
    try:
        yield root_seeded.copy(place / place.name, linked=False)
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def test_an_ebuild_that_fills_the_disk_is_stopped_before_it_is_full(small: Store) -> None:
    where = project(small, PROJECT)
    done = small.cloche("build", "fills", cwd=where)
    line = said(done, 3)
    assert "bad/fills-1" in line
    assert f"no space left in {small.path}" in done.stderr
    assert "free some space, or `cloche store gc`" in done.stderr
    assert settled(small) == []
    assert list((small.path / "tmp").iterdir()) == []
    # What was finished is kept, and there is room again: what the ebuild wrote is gone.
    done = small.cloche("build", "fine", cwd=where, check=True)
    assert "reused" in done.stderr
    assert small.cloche("store", "verify", cwd=where).returncode == 0


@pytest.mark.parametrize("left", [0, 8])
def test_a_full_disk_is_told_and_the_next_run_goes_on(small: Store, left: int) -> None:
    """Room is taken by somebody else, down to so many MiB."""
    where = project(small, PROJECT)
    machine(where, "tight", "chain/one", "chain/five")  # no other test leaves them in the store
    filler = small.path.parent / "filler"
    fill(filler, left)
    done = small.cloche("build", "tight", cwd=where)
    line = said(done, 3)
    assert "no space left" in done.stderr or "No space left" in done.stderr or "full" in line
    assert "free some space" in done.stderr
    assert settled(small) == []
    filler.unlink()
    small.cloche("build", "tight", cwd=where, check=True)
    assert small.cloche("store", "verify", cwd=where).returncode == 0


def fill(filler: Path, left: int) -> None:
    """Write until so many MiB are free."""
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(MIB))
                file.flush()
        except OSError:
            pass
    size = filler.stat().st_size
    with filler.open("rb+") as file:
        file.truncate(max(0, size - left * MIB))
