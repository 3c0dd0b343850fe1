"""What a run makes once for all of its workers is made once, and fails once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.support import ROOT, once

WORKER = """
import sys, time
from pathlib import Path
from tests.support import once
ground = Path(sys.argv[1])
with once(ground, "thing") as first:
    if first:
        (ground / "made").mkdir()  # a second one would fail here
        time.sleep(0.3)
        (ground / "made/whole").touch()
assert (ground / "made/whole").exists()
"""


def test_workers_wait_for_the_one_that_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [subprocess.Popen(command, cwd=ROOT) for _ in range(3)]
    assert [each.wait(60) for each in workers] == [0, 0, 0]


def test_what_failed_for_one_fails_for_the_others_with_its_words(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no room"), once(tmp_path, "thing"):
        raise OSError("no room")
    told = "thing failed in another worker: OSError: no room"
    with pytest.raises(RuntimeError, match=told), once(tmp_path, "thing"):
        pytest.fail("it was tried again")
    with once(tmp_path, "another") as first:
        assert first
