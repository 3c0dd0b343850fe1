"""The native engine, as root and as an ordinary user: see sandbox_*.py for the checks."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from tests.sandbox.driving import CHECKS, drive_as_root, drive_as_user
from tests.support import cannot

from cloche.sandbox.emulation import can_register

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def as_root(small_root: Path) -> dict[str, str]:
    return drive_as_root("native", small_root)


@pytest.fixture(scope="module")
def as_user(users_root: Path, small_user: str) -> dict[str, str]:
    return drive_as_user("native", small_user, users_root)


#: Those that need binfmt_misc for a user namespace.
EMULATED = {
    "check_programs_of_another_cpu_run_in_that_sandbox_alone",
    "check_an_emulator_gives_no_rights",
}


@pytest.fixture(autouse=True)
def kernel(name: str) -> None:
    """See that this host's kernel can do what a check needs."""
    assert set(CHECKS) >= EMULATED
    if name in EMULATED and not can_register(platform.release()):
        cannot("Linux 6.7 with binfmt_misc is needed")


@pytest.mark.parametrize("name", CHECKS)
def test_as_root_or_whoever_runs_the_tests(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.parametrize("name", CHECKS)
def test_as_an_ordinary_user(name: str, as_user: dict[str, str]) -> None:
    assert as_user[name] == "ok", as_user[name]
