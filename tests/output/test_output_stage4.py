"""What tar(1) says of a tarball that is whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.output.stage4 import is_whole
from cloche.sandbox.base import Ended

TOUCHED = "/bin/tar: ./usr/bin/x: file changed as we read it\n"
CASES = {
    "nothing said": (Ended(0), "", True),
    "hard links made meanwhile": (Ended(1), TOUCHED * 3, True),
    "another warning": (
        Ended(1),
        TOUCHED + "/bin/tar: ./y: File removed before we read it\n",
        False,
    ),
    "no reason": (Ended(1), "", False),
    "an error": (Ended(2), TOUCHED, False),
    "killed": (Ended(1, killed=True), TOUCHED, False),
    "too long": (Ended(1, timed_out=True), TOUCHED, False),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_ctime_is_no_failure(case: str, tmp_path: Path) -> None:
    ended, said, whole = CASES[case]
    log = tmp_path / "log"
    log.write_text(said)
    assert is_whole(ended, log) is whole
