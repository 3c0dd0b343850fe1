"""What was done in a root, from its trees alone."""

from __future__ import annotations

from pathlib import Path

from tests.values import vdb_entry

from cloche.layers.merge import Merged
from cloche.workflows.freshroot_changes import Views, unmerged


def test_a_package_in_another_version_is_not_unmerged(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for tree, cpvs in ((before, ("a/gone-1", "a/newer-1", "a/stays-1")), (after, ("a/newer-2",))):
        for cpv in (*cpvs, *(["a/stays-1"] if tree == after else [])):
            (vdb_entry(tree, cpv) / "SLOT").write_text("0\n")
    assert unmerged(Views(Merged([before]), Merged([after]), after)) == ("a/gone",)
