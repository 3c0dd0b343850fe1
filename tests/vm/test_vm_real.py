"""Virtual machines as sandboxes, as root and as an ordinary user: see vm_checks.py for the checks.

A boot takes some seconds without KVM, so there are few. The kernel is the one that cloche fetches.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.sandbox.driving import make_root
from tests.support import User, for_all, packages

DRIVER = Path(__file__).with_name("vm_driver.py")
SANDBOX = DRIVER.parents[1] / "sandbox"
CHECKS = re.findall(r"^def (check_\w+)", DRIVER.with_name("vm_checks.py").read_text(), re.MULTILINE)
# What differs for somebody who is uid 0 in a user namespace alone.
OF_USERS = [name for name in CHECKS if re.search("leaves|descriptors|time_limit", name)]


def drive(user: User, names: list[str], ground: Path, virtual_kernel: Path) -> dict[str, str]:
    """How checks went, for a user."""
    place = ground / f"machines-{user.name}"
    make_root(place / "root")
    (place / "work").mkdir()
    user.own(place)
    path = f"{user.source}:{packages()}:{for_all(SANDBOX)}"
    variables = {"CLOCHE_KERNEL": str(virtual_kernel), "PYTHONPATH": path}
    command = user.command(env=variables)
    command[command.index("-m") :] = [
        str(for_all(DRIVER)),
        str(place / "work"),
        str(place / "root"),
        *names,
    ]
    run = subprocess.run(
        command,
        env=user.environment(variables),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return results


@pytest.fixture(scope="module")
def as_root(root: User, ground: Path, virtual_kernel: Path) -> dict[str, str]:
    return drive(root, CHECKS, ground, virtual_kernel)


@pytest.fixture(scope="module")
def as_user(ordinary: User, ground: Path, virtual_kernel: Path) -> dict[str, str]:
    return drive(ordinary, OF_USERS, ground, virtual_kernel)


@pytest.mark.real
@pytest.mark.parametrize("name", CHECKS)
def test_as_root(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.real
@pytest.mark.proof(name="engines")
@pytest.mark.parametrize("name", OF_USERS)
def test_as_an_ordinary_user(name: str, as_user: dict[str, str]) -> None:
    assert as_user[name] == "ok", as_user[name]
