"""Where `cloche distcc serve` listens, and what of others stays there."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from cloche.distcc.serving import listening
from cloche.errors import ClocheError


def dead_socket(path: Path) -> None:
    """A socket at which nobody listens."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    dead = tmp_path / "dead"
    dead_socket(dead)
    (tmp_path / "file").write_text("precious")
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "to-dead").symlink_to("dead")
    before = {path: os.lstat(path) for path in tmp_path.iterdir()}
    for name in ("file", "empty", "pipe", "link", "to-dead"):
        with pytest.raises(ClocheError, match="cannot listen"), listening(str(tmp_path / name)):
            pytest.fail("it listens there")
    after = {path: os.lstat(path) for path in tmp_path.iterdir()}
    assert {p: (s.st_ino, s.st_size) for p, s in before.items()} == {
        p: (s.st_ino, s.st_size) for p, s in after.items()
    }
    assert (tmp_path / "file").read_text() == "precious"


def test_a_dead_socket_is_replaced_and_one_in_use_is_not(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    dead_socket(path)
    with listening(str(path)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600  # for its owner and root
        with pytest.raises(ClocheError, match="cannot listen"), listening(str(path)):
            pytest.fail("two listen there")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert not path.exists()


def test_what_another_put_in_its_place_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with listening(str(path)):
        path.unlink()
        path.write_text("another's")
    assert path.read_text() == "another's"
