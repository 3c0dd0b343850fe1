"""Commits of live ebuilds, as git-r3.eclass wants to be told."""

from __future__ import annotations

from cloche.building.livepins import overrides
from cloche.config.lock import Revision


def test_a_pinned_commit_has_the_variable_that_the_eclass_shows() -> None:
    commits = (
        Revision("joncampbell123_dosbox-x.git", "a" * 40),
        Revision("some_2.pinned.git", "b" * 40),
        Revision("twice.git", "c" * 40),
        Revision("twice.git", "d" * 40),
    )
    assert overrides(commits) == {
        "EGIT_OVERRIDE_COMMIT_JONCAMPBELL123_DOSBOX_X": "a" * 40,
        "EGIT_OVERRIDE_COMMIT_SOME_2_PINNED": "b" * 40,
    }
