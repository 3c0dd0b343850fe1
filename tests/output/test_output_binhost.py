"""The index of a machine's packages, which is written anew only for those that changed."""

from __future__ import annotations

from cloche.output.binhost import reusable

HEADER = "PACKAGES: 2\nVERSION: 0\n\n"
ONE = "CPV: c/one-1\nPATH: c/one/one-1-1.gpkg.tar\nSIZE: 10240\n\n"
TWO = "CPV: c/two-1\nPATH: c/two/two-1-1.gpkg.tar\nSIZE: 10240\n\n"


def test_entries_of_changed_packages_are_left_out() -> None:
    assert reusable(HEADER + ONE + TWO, {"c/one/one-1-1.gpkg.tar"}) == HEADER + TWO


def test_all_others_stay() -> None:
    assert reusable(HEADER + ONE + TWO, {"c/other/other-1-1.gpkg.tar"}) == HEADER + ONE + TWO
