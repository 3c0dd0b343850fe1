"""docs/api.md does what it says, in one process after the other for root and an ordinary user."""

from __future__ import annotations

import re
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
    done = store.user.run_python(program, room)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = done.stdout.splitlines()
    assert first == "['build', 'perhaps']"
    assert second.startswith(f"{len(tiny.PACKAGES)} built 0 reused")
