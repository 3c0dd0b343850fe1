"""Files of the state get their places as a whole, readable for those who may enter it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.service import files


def test_a_file_may_be_read_by_all_who_may_enter(tmp_path: Path) -> None:
    top, source = tmp_path / "pool", tmp_path / "source"
    top.mkdir(mode=0o750)
    source.write_bytes(b"x")
    source.chmod(0o600)
    before = os.umask(0o077)
    try:
        files.place(source, top / "a/b/c", top)
    finally:
        os.umask(before)
    modes = {name: (top / name).stat().st_mode & 0o777 for name in ("", "a", "a/b", "a/b/c")}
    assert modes == {"": 0o750, "a": 0o755, "a/b": 0o755, "a/b/c": 0o644}


def test_a_pool_may_be_on_another_file_system(tmp_path: Path) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == tmp_path.stat().st_dev:
        cannot("/dev/shm: not another file system")
    with tempfile.TemporaryDirectory(dir=shm) as room:
        source = tmp_path / "source"
        source.write_bytes(b"x")
        files.place(source, Path(room, "a/b"), Path(room))
        assert Path(room, "a/b").read_bytes() == b"x"
        assert [each.name for each in Path(room, "a").iterdir()] == ["b"]
        assert not source.exists()


def test_a_file_without_a_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.place(tmp_path / "none", tmp_path / "pool/a", tmp_path)
