"""How a build is to work: what is chosen, what machine and project say, and defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import values

from cloche.building.context import Policy
from cloche.session.choices import Choices
from cloche.session.contexts import DEFAULT_PHASE_SECONDS, policy_of

CHOSEN = Choices()


def policy(place: Path, more: str = "", choices: Choices = CHOSEN, limits: str = "") -> Policy:
    """The policy for the machine of a new project."""
    project = values.project(place, more)
    file = place / "machines/first.toml"
    file.write_text(f"{file.read_text()}\n{limits}")
    return policy_of(project, project.machine("first"), choices)


def test_cores_limit_all_compilers_and_jobs_the_packages(tmp_path: Path) -> None:
    three, both = "[build]\ncores = 3\n", "[build]\ncores = 3\njobs = 5\n"
    found = policy(tmp_path / "1", three)
    assert (found.cores, found.jobs) == (3, 3)
    found = policy(tmp_path / "2", both)
    assert (found.cores, found.jobs) == (3, 5)
    found = policy(tmp_path / "3", both, Choices(jobs=2))
    assert (found.cores, found.jobs) == (3, 2)


def test_a_machine_goes_before_its_project_and_that_before_the_default(tmp_path: Path) -> None:
    project, machine = '[build]\nphase_timeout = "2h"\n', '[limits]\nphase_timeout = "1h"\n'
    assert policy(tmp_path / "1").phase_seconds == DEFAULT_PHASE_SECONDS
    assert policy(tmp_path / "2", project).phase_seconds == 7200
    assert policy(tmp_path / "3", project, limits=machine).phase_seconds == 3600


def test_limits_are_the_machines(tmp_path: Path) -> None:
    assert policy(tmp_path / "1").limits == Policy().limits
    found = policy(tmp_path / "2", limits='[limits]\nmemory = "1G"\nprocesses = 70\n')
    assert (found.limits.memory, found.limits.processes) == (1 << 30, 70)


@pytest.mark.parametrize("chosen", [False, True])
@pytest.mark.parametrize("said", [False, True])
def test_hooks_are_strict_where_either_says_so(tmp_path: Path, said: bool, chosen: bool) -> None:
    found = policy(
        tmp_path / "p", "[build]\nstrict_hooks = true\n" * said, Choices(strict_hooks=chosen)
    )
    assert found.strict_hooks is (said or chosen)


def test_the_project_says_what_stays_free(tmp_path: Path) -> None:
    assert policy(tmp_path / "1").disk_reserve == Policy().disk_reserve
    assert policy(tmp_path / "2", '[store]\nreserve = "1G"\n').disk_reserve == 1 << 30


def test_what_is_chosen_for_one_build_is_in_its_policy(tmp_path: Path) -> None:
    for number, (keep, offline) in enumerate(((True, False), (False, True))):
        found = policy(tmp_path / str(number), choices=Choices(keep_going=keep, offline=offline))
        assert (found.keep_going, found.offline) == (keep, offline)
