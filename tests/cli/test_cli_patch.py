"""`cloche patch` without any patch."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Run
from tests.values import project


def test_a_project_without_patches_says_so(tmp_path: Path, run_cloche: Run) -> None:
    words = ("--store", tmp_path / "store", "-C", project(tmp_path / "p").root, "patch", "list")
    status, out, err = run_cloche(*words)
    assert (status, out) == (0, "")
    assert err == "the project has no patches; `cloche patch prep ATOM` begins one\n"
    assert run_cloche(*words, "--json") == (0, "[]\n", "")
