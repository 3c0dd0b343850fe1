"""docs/layers.md does what it says."""

from __future__ import annotations

import os
import re
import subprocess

import pytest
from tests.support import ROOT, User

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.real
@pytest.mark.parametrize("who", ["root", "ordinary"])
def test_the_examples_run(request: pytest.FixtureRequest, who: str) -> None:
    user: User = request.getfixturevalue(who)
    program = "".join(BLOCK.findall((ROOT / "docs/layers.md").read_text()))
    assert "open_root" in program
    room = user.home / "layers-docs"
    room.mkdir()
    user.own(room)
    command = [*user.as_user(), "env", f"PYTHONPATH={user.environment(None)['PYTHONPATH']}",
               f"PATH={os.environ['PATH']}", user.python, "-B", "-c", program]  # fmt: skip
    done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "overlay is there" in done.stdout
