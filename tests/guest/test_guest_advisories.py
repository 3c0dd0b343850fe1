"""Advisories inside of a sandbox: what is installed before and after a change."""

from __future__ import annotations

from cloche.guest.advisories import remaining


def test_packages_that_a_plan_drops_or_moves_to_another_slot_are_gone() -> None:
    seed = [("sys-libs/zlib-1", "0/1")]
    own = [("a/dropped-1", "0"), ("a/moved-1", "1/1.2")]
    before = [["a/dropped-1", "0/0"], ["a/moved-1", "1"]]
    assert remaining([*seed, *own], before) == seed
    assert remaining([*seed, *own], before[:1]) == [*seed, own[1]]
    assert remaining(seed, [["sys-libs/zlib-2", "0"]]) == seed  # of a machine that is not built
