"""The broker, for root and for an ordinary user: see *_checks.py for the checks."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.sandbox.driving import make_root
from tests.support import User, for_all, packages, python_for_all

HERE = Path(__file__).parent
CHECKS = [
    name
    for file in ("engine_checks.py", "worker_checks.py")
    for name in re.findall(r"^def (check_\w+)", (HERE / file).read_text(), re.MULTILINE)
]
WITHOUT_IDS = """
from cloche.broker.client import Broker
from cloche.errors import ClocheError
broker = Broker()
for ask in (lambda: broker.engine("native"), broker.worker):
    try:
        ask()
    except ClocheError as error:
        print(int(error.status), error)
"""

pytestmark = pytest.mark.real


def drive(user: User, tmp: Path) -> dict[str, str]:
    """Run all checks as a user."""
    directory = Path(user.home, f"broker-{tmp.name}")
    directory.mkdir()
    make_root(directory / "root")
    user.own(directory)
    code = [str(for_all(place)) for place in (HERE, HERE.parent / "sandbox")]
    words = ("run", directory, directory / "root", directory / "store")
    driver = [user.python, "-B", f"{code[0]}/broker_driver.py", *words]
    path = ":".join([str(user.source), packages(), *code])
    variables = user.environment({"PYTHONPATH": path})
    done = subprocess.run(
        [*user.as_user(), "env", *(f"{k}={v}" for k, v in variables.items()), *driver],
        cwd="/",
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    print(done.stderr)
    results: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return results


def test_a_user_without_ids_is_given_the_reason_each_time(root: User) -> None:
    variables = root.environment(None) | {"PYTHONPATH": f"{for_all(root.source)}:{packages()}"}
    as_nobody = ["setpriv", "--reuid=54321", "--regid=54321", "--clear-groups"]
    done = subprocess.run(
        [*as_nobody, python_for_all(), "-B", "-c", WITHOUT_IDS],
        cwd="/",
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout.splitlines()
    assert len(said) == 2, done.stderr
    assert said[0] == said[1]
    assert said[0].startswith("3 54321 has no range of 65535 ids in /etc/subuid"), said


@pytest.fixture(scope="module")
def as_root(root: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return drive(root, tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def as_user(ordinary: User, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return drive(ordinary, tmp_path_factory.mktemp("user"))


@pytest.mark.parametrize("name", CHECKS)
def test_as_root(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.parametrize("name", CHECKS)
def test_as_an_ordinary_user(name: str, as_user: dict[str, str]) -> None:
    assert as_user[name] == "ok", as_user[name]
