"""What a target's owner is advised is possible on the target."""

from __future__ import annotations

import pytest

from cloche.building.unresolved import Mask, ResolutionError
from cloche.service.advice import for_owner

REASONS = ("package.mask", "~amd64 keyword", "missing keyword", "X license(s)", "live properties",
           "fetch in RESTRICT", "EAPI 9", "profile")  # fmt: skip


def advice(kind: str, *masks: Mask) -> str:
    """The advice that the owner gets."""
    return for_owner(ResolutionError("m", kind, "a/b", "text", masks=masks).todo or "")


@pytest.mark.parametrize("kind", ["unknown", "use", "circular", "conflict", "manifest", "other"])
def test_no_advice_is_about_a_project(kind: str) -> None:
    told = advice(kind)
    assert told
    assert not any(word in told for word in ("fragment", "FRAGMENT", "machine's"))


@pytest.mark.parametrize("reason", REASONS)
def test_masks_are_lifted_in_the_targets_own_files(reason: str) -> None:
    told = advice("masked", Mask("a/b-1", (reason,)))
    assert not any(word in told for word in ("fragment", "FRAGMENT", "machine's"))
    if reason == "~amd64 keyword":
        assert told == "add `=a/b-1 ~amd64` to /etc/portage/package.accept_keywords"
