"""The index of a machine's packages, which is written anew only for those that changed."""

from __future__ import annotations

from cloche.output.binhost import reusable

HEADER = "PACKAGES: 2\nVERSION: 0\n\n"
ONE = "CPV: c/one-1\nPATH: c/one/one-1-1.gpkg.tar\nSIZE: 10240\n\n"
TWO = "CPV: c/two-1\nPATH: c/two/two-1-1.gpkg.tar\nSIZE: 10240\n\n"
ONE_READ = ONE[:-1] + "USER_PATCHES: \n\n"
TWO_READ = TWO[:-1] + "USER_PATCHES: \n\n"


def test_entries_of_changed_packages_are_left_out() -> None:
    assert reusable(HEADER + ONE + TWO, {"c/one/one-1-1.gpkg.tar"}) == HEADER + TWO_READ


def test_all_others_stay_with_the_key_that_portage_misses() -> None:
    assert (
        reusable(HEADER + ONE + TWO, {"c/other/other-1-1.gpkg.tar"}) == HEADER + ONE_READ + TWO_READ
    )
    assert reusable(HEADER + ONE_READ, set()) == HEADER + ONE_READ
