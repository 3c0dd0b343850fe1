"""A VDB entry gets another COUNTER: the snapshot is what Portage itself would write."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloche.guest import settings, vdb

CPV = "app-misc/note-1"


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "epoch", lambda: 1_700_000_000)
    entry = tmp_path / vdb.VDB / CPV
    entry.mkdir(parents=True)
    for name, text in {"SLOT": "0", "KEYWORDS": "amd64  ~arm64", "CATEGORY": "app-misc"}.items():
        (entry / name).write_text(f"{text}\n")
    vdb.number(tmp_path, CPV, 3)
    return entry


def test_the_snapshot_is_portage_s_own(tmp_path: Path, entry: Path) -> None:
    vdb.number(tmp_path, CPV, 41)
    edited = (entry / vdb.METADATA).read_text()
    (entry / vdb.METADATA).unlink()
    vdb.number(tmp_path, CPV, 41)
    assert (entry / vdb.METADATA).read_text() == edited
    assert "COUNTER=41\n" in edited
    assert (entry / "COUNTER").read_text() == "41"
    assert entry.stat().st_mtime == 1_700_000_000


def test_a_snapshot_of_another_time_is_made_again(tmp_path: Path, entry: Path) -> None:
    stale = (entry / vdb.METADATA).read_text().replace("SLOT=0", "SLOT=9").replace("1700", "1701")
    (entry / vdb.METADATA).write_text(stale)
    vdb.number(tmp_path, CPV, 5)
    assert "SLOT=0\n" in (entry / vdb.METADATA).read_text()
