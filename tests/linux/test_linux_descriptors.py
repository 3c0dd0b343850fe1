"""Forks of this process do not hold open what somebody waits for the end of."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from cloche.linux import descriptors
from cloche.sandbox import wire
from cloche.sandbox.copying import written_to
from cloche.sandbox.launcher import readable


def fork_that_lives() -> int:
    """A child that has a copy of every descriptor."""
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    return pid


def test_pipes_and_sockets_end_while_a_fork_lives(tmp_path: Path) -> None:
    reader, writer = descriptors.pipe()
    ours, theirs = descriptors.socket_pair()
    with ours, (tmp_path / "log").open("ab") as log:
        began = time.monotonic()
        with written_to(log) as outlet:
            pid = fork_that_lives()
            os.write(outlet.writer, b"said")
            os.write(writer, b"all")
            descriptors.close(writer)
            descriptors.close(theirs)
        assert time.monotonic() - began < 30  # not only with the fork's end
        try:
            assert os.read(reader, 99) == b"all"
            assert readable(reader, 5)
            assert os.read(reader, 99) == b""
            assert readable(ours.fileno(), 5)
            assert wire.receive(ours) == (None, [])
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    os.close(reader)
    assert (tmp_path / "log").read_bytes() == b"said"


def test_what_a_fork_inherits_stays_a_descriptor() -> None:
    """An inherited object that closes its number does not close another's."""
    reader, writer = descriptors.pipe()
    pid = os.fork()
    if pid == 0:
        is_null = os.fstat(writer).st_rdev == os.stat(os.devnull).st_rdev  # noqa: PTH116
        descriptors.close(writer)
        os._exit(0 if is_null else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.write(writer, b"1")
    descriptors.close(writer)
    assert os.read(reader, 9) == b"1"
    os.close(reader)


def test_an_interrupt_in_a_new_fork_does_not_leave_it_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes while the fork's descriptors are replaced."""
    reader, writer = descriptors.pipe()
    with monkeypatch.context() as patched:
        patched.setattr(os, "dup2", lambda *_, **__: signal.raise_signal(signal.SIGINT))
        # What is raised there is written to standard error, and has no other effect.
        patched.setattr(sys, "unraisablehook", lambda _: None)
        pid = os.fork()
        if pid == 0:
            signal.alarm(10)
            descriptors.pipe()
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    descriptors.close(writer)
    os.close(reader)
    assert status == 0
