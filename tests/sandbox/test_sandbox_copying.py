"""Reading what others write: side by side, to the end, and no more than a limit."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from cloche.sandbox.copying import collect, lines

ERRORS_FIRST = "import sys; sys.stderr.write('e' * 300_000); sys.stdout.write('o' * 300_000)"
ENDLESS = "import os\nwhile True: os.write(1, b'x' * 4096)"
SILENT = "import time; time.sleep(60)"


def started(code: str) -> subprocess.Popen[bytes]:
    """A program with two pipes."""
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def streams(process: subprocess.Popen[bytes]) -> list[int]:
    assert process.stdout
    assert process.stderr
    return [process.stdout.fileno(), process.stderr.fileno()]


def test_two_streams_are_read_whichever_fills_first() -> None:
    with started(ERRORS_FIRST) as process:
        assert collect(streams(process), 1 << 20, 60) == (b"o" * 300_000, b"e" * 300_000)


def test_what_has_no_end_is_given_up() -> None:
    for code, error in ((ENDLESS, OverflowError), (SILENT, TimeoutError)):
        with started(code) as process:
            with pytest.raises(error):
                collect(streams(process), 1 << 20, 10 if code == ENDLESS else 0.2)
            process.kill()


def test_lines_come_whole_unless_they_are_too_long() -> None:
    reader, writer = os.pipe()
    os.write(writer, b"one\n\ntwo\n" + b"x" * 30)
    os.close(writer)
    with open(reader, "rb"):
        assert list(lines(reader, 20)) == [b"one\n", b"\n", b"two\n", b"x" * 30]
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb", buffering=0) as file:
        file.write(b"y" * 30)
        told = lines(reader, 20)
        assert next(told) == b"y" * 30
        file.write(b"z\n")
        assert next(told) == b"z\n"
