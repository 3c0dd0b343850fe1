"""docs/api.md does what it says, in one process after the other for root and an ordinary user."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable

import pytest
from tests.machine import tiny
from tests.support import ROOT, Store, project

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.real
def test_the_examples_run(seeded: Store, fresh: Callable[[Store], Store]) -> None:
    program = "".join(BLOCK.findall((ROOT / "docs/api.md").read_text()))
    assert "open_session" in program
    store = fresh(seeded)
    place = project(store, tiny.PROJECT)
    room = place.parent
    (room / "store").symlink_to(store.path)
    user = store.user
    command = [*user.as_user(), "env", f"PYTHONPATH={user.environment(None)['PYTHONPATH']}",
               f"PATH={os.environ['PATH']}", user.python, "-B", "-c", program]  # fmt: skip
    done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert first == "['build', 'perhaps']"
    assert second.startswith(f"{len(tiny.PACKAGES)} built 0 reused")
