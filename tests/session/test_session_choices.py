"""What may be chosen: wrong types are TypeErrors, wrong numbers ValueErrors."""

from __future__ import annotations

from typing import Any

import pytest

from cloche.session.choices import Choices


@pytest.mark.parametrize(
    "wrong",
    [
        {"jobs": "x"},
        {"jobs": True},
        {"rebuild": "slow"},
        {"packages": ["a/b"]},
        {"packages": (1,)},
        {"offline": "no"},
        {"autounmask_write": True},
    ],
    ids=str,
)
def test_a_value_of_a_wrong_type_is_refused(wrong: dict[str, Any]) -> None:
    (name,) = wrong
    with pytest.raises(TypeError, match=f"Choices: {name} is "):
        Choices(**wrong)


def test_jobs_are_at_least_one() -> None:
    with pytest.raises(ValueError, match="jobs is at least 1, not 0"):
        Choices(jobs=0)


def test_what_fits_is_kept() -> None:
    chosen = Choices(jobs=1, offline=True, autounmask_write="base", packages=("a/b",))
    assert (chosen.jobs, chosen.offline, chosen.packages) == (1, True, ("a/b",))
