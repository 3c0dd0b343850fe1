"""The guest's attempts are known to the host, and change no key."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cloche.building import inputs
from cloche.guest import probe, probe_rights, probe_shows
from cloche.probing.battery import QUESTIONS


def test_every_question_has_its_attempt() -> None:
    kinds = {"shows": probe_shows.ATTEMPTS, "works": probe_rights.ATTEMPTS}
    for kind, attempts in kinds.items():
        assert {each.id for each in QUESTIONS if each.kind == kind} == set(attempts)


def test_the_jobs_leave_nothing_and_end_in_time(tmp_path: Path) -> None:
    assert probe.files(tmp_path, 1 << 30, 0.05) > 0
    assert list(tmp_path.iterdir()) == []
    assert probe.processes(1 << 30, 0.05) > 0


def test_a_change_of_an_attempt_makes_no_step_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "guest"
    shutil.copytree(inputs.GUEST, copy)
    monkeypatch.setattr(inputs, "GUEST", copy)
    before = inputs.guest_digest()
    for name in ("probe.py", "probe_rights.py", "probe_shows.py"):
        assert (copy / name).exists()
        (copy / name).write_text("")
    assert inputs.guest_digest() == before
    (copy / "build.py").write_text("")
    assert inputs.guest_digest() != before
