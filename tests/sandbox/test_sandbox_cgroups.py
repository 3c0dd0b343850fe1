"""Control groups: a limit is kept or known not to be, and what killed programs left goes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cloche.sandbox import cgroups
from cloche.sandbox.base import Limits


@pytest.mark.parametrize("possible", [True, False])
def test_a_group_without_its_limit_is_none(
    possible: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "_parents", lambda _: [(2, tmp_path)])
    if not possible:
        monkeypatch.setitem(cgroups._FILES, ("memory", 2), "no/such/file")
    made = cgroups.create_for_sandbox(Limits(memory=1 << 20))
    assert bool(made) is possible
    assert len(list(tmp_path.iterdir())) == len(made)
    assert cgroups.can_limit_memory() is possible


def test_a_new_engine_sweeps_what_killed_programs_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = {name: tmp_path / name for name in ("pids", "memory")}
    gone = f"cloche-{_ended_pid()}-0"
    alive = f"cloche-{os.getpid()}-7"
    # Empty groups whose names only look like ours.
    others = {"other", "cloche-web-0", f"cloche-{_ended_pid()}-web", "cloche-own-thing"}
    for place in places.values():
        for name in (gone, alive, *others):
            (place / name).mkdir(parents=True)
    monkeypatch.setattr(cgroups, "_parents", lambda controller: [(2, places[controller])])
    made = cgroups.create_for_engine()
    left = {name: {path.name for path in place.iterdir()} for name, place in places.items()}
    assert left["memory"] == {alive, *others}
    assert left["pids"] == {alive, *others, Path(made[0]).name}


def _ended_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        return process.pid
