"""Streams of `cloche shell`: what they are joined to stays out of a command's reach."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import subprocess, sys
from cloche.cli.streams import Streams
streams = Streams(tty=False)
given = {"stdin": streams.stdin, "stdout": streams.stdout, "stderr": streams.stderr}
process = subprocess.Popen(["/bin/sh", "-c", sys.argv[1]], **given)
streams.given()
status = process.wait()
streams.join()
sys.exit(status)
"""
ATTACK = """
cat; echo one; echo two >&2; echo three
for n in 0 1 2; do chmod 4777 /proc/self/fd/$n; done 2> /dev/null
exit 3
"""


@pytest.mark.parametrize("together", [True, False])
def test_files_get_the_words_and_keep_their_modes(tmp_path: Path, together: bool) -> None:
    into, out, err = (tmp_path / name for name in ("in", "out", "err"))
    text = b"x" * (1 << 20) + b"\n"  # more than a pipe holds
    into.write_bytes(text)
    err.touch()
    for path in (into, err):
        path.chmod(0o600)
    with into.open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as apart:
        out.chmod(0o600)
        stderr = stdout if together else apart
        command = [sys.executable, "-c", CODE, ATTACK]
        done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=stderr, check=False)
    assert done.returncode == 3
    assert out.read_bytes() == text + (b"one\ntwo\nthree\n" if together else b"one\nthree\n")
    assert err.read_bytes() == (b"" if together else b"two\n")
    assert [path.stat().st_mode & 0o7777 for path in (into, out, err)] == [0o600] * 3


def test_a_command_ends_when_nobody_reads_any_more() -> None:
    command = [sys.executable, "-c", CODE, "trap - PIPE; exec yes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
        assert program.stdout
        assert program.stdout.readline() == b"y\n"
        program.stdout.close()
        assert program.wait(30) != 0
