"""The native engine, as root and as an ordinary user: see sandbox_*.py for the checks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import cannot

DRIVER = Path(__file__).with_name("sandbox_driver.py")
SOURCE = Path(__file__).parents[2] / "src"
CHECKS = [
    name
    for path in sorted(DRIVER.parent.glob("sandbox_*.py"))
    for name in re.findall(r"^def (check_\w+)", path.read_text(), re.MULTILINE)
]
PROGRAMS = (
    "sh cat chmod chown env hostname id ls mkdir mknod mount "
    "rm setpriv setsid sleep stat stty touch true wc"
)
USER = "cloche-test"

pytestmark = pytest.mark.real


def make_root(root: Path) -> None:
    """Fill a directory with a few programs of the host and their libraries."""
    (root / "bin").mkdir(parents=True)
    (root / "etc").mkdir()
    (root / "etc/there").write_text("")
    for name in PROGRAMS.split():
        program = shutil.which(name)
        assert program, name
        shutil.copy(program, root / "bin" / name)
        for library in re.findall(r"(/\S+) \(0x", subprocess.getoutput(f"ldd {program}")):
            copy = root / library.lstrip("/")
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists():
                shutil.copy(library, copy)


def python_for_users() -> str | None:
    """Return a Python, 3.11 or later, that any user may execute."""
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    for python in (sys.executable, "/usr/bin/python3"):
        command = ["setpriv", "--reuid=65534", "--clear-groups", python, "-c", probe]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python
    return None


def drive(prefix: list[str], python: str, directory: Path, root: Path) -> dict[str, str]:
    directory.mkdir(exist_ok=True)
    # From surroundings that no sandbox must take over.
    odd = ["setarch", "--addr-no-randomize", "nohup", "prlimit", "--stack=4194304", "--core=0"]
    run = subprocess.run(
        [*odd, *prefix, python, str(DRIVER), "native", str(directory), str(root)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/",
        umask=0o077,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    results: dict[str, str] = json.loads(run.stdout.splitlines()[-1])
    return results


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    # Not pytest's own directory, which each start of pytest closes to other users again.
    with tempfile.TemporaryDirectory(prefix="cloche-engines-") as directory:
        Path(directory).chmod(0o755)
        make_root(Path(directory, "root"))
        yield Path(directory, "root")


@pytest.fixture(scope="module")
def as_root(root: Path) -> dict[str, str]:
    return drive([], sys.executable, root.parent / "root-work", root)


@pytest.fixture(scope="module")
def user() -> Iterator[str]:
    if os.geteuid() != 0:
        cannot("making a user needs root")
    subprocess.run(["useradd", "--no-create-home", USER], check=True, capture_output=True)
    given = f":{USER}:" in ":" + Path("/etc/subuid").read_text().replace("\n", ":")
    if not given:
        ranges = ["--add-subuids", "900000-965535", "--add-subgids", "900000-965535"]
        subprocess.run(["usermod", *ranges, USER], check=True)
    try:
        yield USER
    finally:
        subprocess.run(["userdel", USER], check=False, capture_output=True)


@pytest.fixture(scope="module")
def as_user(root: Path, user: str) -> dict[str, str]:
    python = python_for_users()
    if python is None:
        cannot("no Python that an ordinary user may execute")
    directory = root.parent / "user-work"
    directory.mkdir()
    own = directory / "root"
    shutil.copytree(root, own)
    for path in (directory, own, *own.rglob("*")):
        shutil.chown(path, user, user)
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return drive(prefix, python, directory, own)


@pytest.mark.parametrize("name", CHECKS)
def test_as_root_or_whoever_runs_the_tests(name: str, as_root: dict[str, str]) -> None:
    assert as_root[name] == "ok", as_root[name]


@pytest.mark.parametrize("name", CHECKS)
def test_as_an_ordinary_user(name: str, as_user: dict[str, str]) -> None:
    assert as_user[name] == "ok", as_user[name]
