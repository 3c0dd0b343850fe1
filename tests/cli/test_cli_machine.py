"""`cloche machine` of machines that are not built."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.values import project

from cloche.store import Store


def test_a_build_without_its_number_is_named(tmp_path: Path, run_cloche: Run) -> None:
    place = project(tmp_path / "p").root
    with Store.open(tmp_path / "store"):
        pass
    words = ("machine", "diff", "first@", "first")
    status, _, said = run_cloche("--store", tmp_path / "store", "-C", place, *words)
    assert status == 2
    assert said == (
        "cloche: “first@”: the number of the build is missing; "
        "write “first@3”, or “first” for the last build\n"
    )


def test_what_a_copy_has_of_the_other_machine_is_told(tmp_path: Path, run_cloche: Run) -> None:
    place = project(tmp_path / "p").root
    file = place / "machines/first.toml"
    file.write_text(f'hostname = "first"\n{file.read_text()}')
    status, out, said = run_cloche("-C", place, "machine", "new", "second", "--like", "first")
    assert (status, out) == (0, "machines/second.toml\n")
    assert "second.toml:1: the hostname is “first”, as in first\n" in said
