"""Driving an engine through the checks of sandbox_*.py, as root or as an ordinary user."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support import for_all, packages, python_for_all

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


def drive(
    engine: str,
    prefix: list[str],
    python: str,
    directory: Path,
    root: Path,
    checks: Sequence[str] = (),
) -> dict[str, str]:
    """Run checks, all by default; give each one's name and "ok" or a traceback."""
    directory.mkdir(exist_ok=True)
    driver, source = (for_all(DRIVER), for_all(SOURCE)) if prefix else (DRIVER, SOURCE)
    # From surroundings that no sandbox must take over.
    odd = ["setarch", "--addr-no-randomize", "nohup", "prlimit", "--stack=4194304", "--core=0"]
    run = subprocess.run(
        [*odd, *prefix, python, driver, engine, directory, root, *checks],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{source}:{packages()}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
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


def drive_as_root(engine: str, root: Path, checks: Sequence[str] = ()) -> dict[str, str]:
    """Run checks as whoever runs the tests."""
    directory = root.parent / f"root-{engine.replace(':', '-')}"
    return drive(engine, [], sys.executable, directory, root, checks)


def drive_as_user(engine: str, user: str, root: Path, checks: Sequence[str] = ()) -> dict[str, str]:
    """Run checks as a user to whom the root belongs."""
    directory = root.parent / engine.replace(":", "-")
    directory.mkdir()
    shutil.chown(directory, user, user)
    prefix = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
    return drive(engine, prefix, python_for_all(), directory, root, checks)
