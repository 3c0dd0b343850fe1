"""Reading the files that say which ids an ordinary user may map."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support import User

from cloche.sandbox import userns


def test_the_first_long_enough_range_is_taken_by_name_or_number() -> None:
    lines = ["other:1:70000", "me:100:10", "1000:5000:65535", "me:9000:65536"]
    assert userns.find_range(lines, "me", 1000) == userns.IdRange(5000, 65535)
    assert userns.find_range(lines, "me", 7) == userns.IdRange(9000, 65536)


def test_short_foreign_and_broken_ranges_do_not_count() -> None:
    lines = ["me:100:65534", "mee:1:65536", "me:x:65536", "me:1", "", "# me:1:65536"]
    assert userns.find_range(lines, "me", 1000) is None


def test_the_proposed_range_is_free() -> None:
    assert userns._free_range([]) == "100000-165535"
    assert userns._free_range(["a:100000:65536", "b:300000:10"]) == "300010-365545"


def test_mapped_ids_are_counted() -> None:
    assert userns.mapped_ids("   0  1000  1\n   1  100000  65535\n") == userns.IDS


def test_a_directory_that_the_user_may_not_enter_is_left(ordinary: User, tmp_path: Path) -> None:
    for name, mode in (("closed", 0o700), ("open", 0o755)):
        (tmp_path / name).mkdir(mode=mode)
    code = (
        f"import sys; sys.path.insert(0, {str(ordinary.source)!r}); import os\n"
        "from cloche.sandbox import userns; userns.enter(); print(os.getcwd())"
    )
    command = [*ordinary.as_user(), ordinary.python, "-c", code]
    # `su` leaves the working directory as it is.
    for name, where in (("closed", "/"), ("open", str(tmp_path / "open"))):
        told = subprocess.run(
            command, cwd=tmp_path / name, capture_output=True, check=True, text=True
        )
        assert told.stdout.strip() == where
