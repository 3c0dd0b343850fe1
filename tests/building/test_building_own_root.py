"""A root of its own: its C library must suit the seed, whose own runs what a build makes."""

from __future__ import annotations

import pytest

from cloche.building.own_root import newer

GLIBC = "sys-libs/glibc-{}"


@pytest.mark.parametrize(
    ("own", "seed"),
    [("2.36-r8", "2.36-r99"), ("2.36-r100", "2.36-r99"), ("2.9", "2.36-r99"), ("2.36", "2.41")],
)
def test_a_c_library_that_the_seed_can_run_is_fine(own: str, seed: str) -> None:
    assert newer([GLIBC.format(own)], [GLIBC.format(seed)]) is None


def test_a_newer_one_is_warned_of() -> None:
    told = newer(["app-misc/a-9", GLIBC.format("2.38-r1")], ["c/b-1", GLIBC.format("2.36-r99")])
    assert told is not None
    assert told.startswith("sys-libs/glibc-2.38 is newer than the seed's (2.36): ")
    assert told.endswith("mask >sys-libs/glibc-2.36")


def test_of_several_in_the_seed_the_newest_counts() -> None:
    seed = [GLIBC.format("2.36"), GLIBC.format("2.41")]
    assert newer([GLIBC.format("2.38")], seed) is None
    told = newer([GLIBC.format("2.42")], seed)
    assert told is not None
    assert told.endswith("mask >sys-libs/glibc-2.41")


def test_another_c_library_is_not_compared() -> None:
    assert newer(["sys-libs/musl-1.2"], [GLIBC.format("2.36")]) is None
    assert newer([GLIBC.format("2.38")], []) is None
