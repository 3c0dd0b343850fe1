"""What is told of files that no package owns; merges are in `test_workflows_freshroot`."""

from __future__ import annotations

from pathlib import Path

from cloche.guest.removing import SEED
from cloche.guest.unowned import MOST, line_of, place
from cloche.seeds.debian.provided import REPOSITORY


def test_one_line_has_the_first_names() -> None:
    assert line_of(["/a"]) == "overwrites a file that no package owns: /a"
    names = [f"/{number}" for number in range(MOST + 2)]
    assert line_of(names).endswith(": /0, /1, /2, /3, /4 and 2 more")


def test_a_file_is_found_by_whatever_links_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/bin/awk").symlink_to("gawk")
    assert place(tmp_path, "/bin/awk") == place(tmp_path, "usr/bin/awk")
    assert place(tmp_path, "/bin/awk") != place(tmp_path, "/bin/gawk")


def test_entries_of_a_seed_are_known_by_their_repository() -> None:
    assert SEED == REPOSITORY
