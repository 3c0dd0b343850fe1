"""`cloche log`: what a log holds cannot steer the terminal that shows it, wherever it passes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cloche.records import logs
from cloche.store import Store

pytestmark = pytest.mark.real

TITLE = b"\x1b]0;owned\x07"
TEXT = b"before\n=== cloche: phase compile\n\x1b[31mred\x1b[0m\t" + TITLE + b"\xff\xc3\xa9\r\nend"


@pytest.fixture(params=["plain", "compressed"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A store with one log, whose writer is gone."""
    with Store.open(tmp_path / "store") as opened:
        path = logs.new_log(opened, "a/b-1", "build")
        path.write_bytes(TEXT)
        if request.param == "compressed":
            logs.compress(path)
    return tmp_path / "store"


def log(store: Path, *words: str) -> bytes:
    """What `cloche log` writes into a pipe."""
    command = [sys.executable, "-m", "cloche", "--store", str(store), "log", "a/b", *words]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("words", [(), ("--follow",), ("--phase", "compile")])
def test_a_pipe_gets_escapes_as_text(store: Path, words: tuple[str, ...]) -> None:
    told = log(store, *words)
    assert "\\x1b[31mred\\x1b[0m\t\\x1b]0;owned\\x07\ufffd\u00e9\\r\nend".encode() in told
    assert not set(told) & {0x1B, 0x07, 0x0D}


def test_raw_is_every_byte(store: Path) -> None:
    assert log(store, "--raw") == TEXT
    assert log(store, "--raw", "--follow") == TEXT
    assert log(store, "--raw", "--phase", "compile") == TEXT.partition(b"compile\n")[2]
