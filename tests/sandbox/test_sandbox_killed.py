"""Whatever dies, and whenever: no process, namespace, mount, control group or file is left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.sandbox.driving import SOURCE
from tests.support import for_all, packages, python_for_all

STARTS = {"user": 200, "root": 60}  # root's differ in their control groups alone
DRIVER = Path(__file__).with_name("killing_driver.py")

pytestmark = pytest.mark.real


@pytest.mark.parametrize("who", ["root", "user"])
def test_nothing_is_left_after_random_kills(
    request: pytest.FixtureRequest,
    small_root: Path,
    who: str,
) -> None:
    """A seed in CLOCHE_TESTS_RANDOM repeats the choices, if not their moments."""
    seed = os.environ.get("CLOCHE_TESTS_RANDOM", str(time.time_ns() % 1_000_000))
    print(f"CLOCHE_TESTS_RANDOM={seed}")
    directory = small_root.parent / f"killing-{who}"
    directory.mkdir()
    command, starts, driver, source = [sys.executable], STARTS[who], DRIVER, SOURCE
    if who == "user":
        name = request.getfixturevalue("small_user")
        command = ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups"]
        command.append(python_for_all())
        driver, source = for_all(DRIVER), for_all(SOURCE)
        subprocess.run(["chown", f"{name}:", directory], check=True)
    run = subprocess.run(
        [*command, str(driver), str(directory), str(small_root), seed, str(starts)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{source}:{packages()}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert told["starts"] >= starts
    assert told["counted"] == (who == "user" or os.geteuid() != 0)
    assert {"sandbox", "launcher"} <= told["hits"].keys(), told
    assert not any(told["left"].values()), told
