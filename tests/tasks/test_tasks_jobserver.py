"""Tokens: as many as there are cores, less one for each package that runs."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from cloche.tasks.jobserver import Jobserver


@pytest.fixture
def server(tmp_path: Path):
    made = Jobserver(tmp_path / "fifo", 4)
    yield made
    made.close()
    assert not made.fifo.exists()


def tokens(server: Jobserver) -> int:
    """How many are in it: taken out and put back."""
    try:
        found = os.read(server._tokens.fd, 4096)
    except BlockingIOError:
        return 0
    os.write(server._tokens.fd, found)
    return len(found)


def test_each_package_has_one_of_its_own(server: Jobserver) -> None:
    counts = [tokens(server)]
    for _ in range(4):
        server.started()
        counts.append(tokens(server))
    for _ in range(4):
        server.ended()
        counts.append(tokens(server))
    assert counts == [4, 3, 2, 1, 0, 1, 2, 3, 4]


def test_more_packages_than_cores_owe(server: Jobserver) -> None:
    for _ in range(6):
        server.started()
    assert tokens(server) == 0
    server.ended()
    server.ended()
    assert tokens(server) == 0
    server.ended()
    assert tokens(server) == 1


def test_what_a_killed_make_held_comes_back(server: Jobserver) -> None:
    server.started()
    assert os.read(server._tokens.fd, 2) == b"++"  # and never put back
    server.ended()
    assert tokens(server) == 4


def test_tokens_that_came_from_nowhere_go(server: Jobserver) -> None:
    server.started()
    os.write(server._tokens.fd, b"++++++")
    server.ended()
    assert tokens(server) == 4


def test_anybody_may_use_it_and_gnu_make_does(server: Jobserver, tmp_path: Path) -> None:
    assert server.fifo.stat().st_mode & 0o777 == 0o666
    server.started()
    names = " ".join(f"t{n}" for n in range(6))
    (tmp_path / "Makefile").write_text(
        f"all: {names}\n{names}:\n\t@echo $$(ls | wc -l); touch run.$@; sleep 0.2; rm run.$@\n"
    )
    fd = os.open(server.fifo, os.O_RDWR)  # as make before 4.4 wants it; guest/bin/make does so
    flags = f" -j4 --jobserver-auth={fd},{fd}"
    done = subprocess.run(
        ["make"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "MAKEFLAGS": flags},
        pass_fds=(fd,),
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(fd)
    assert done.returncode == 0, done.stderr
    assert "jobserver unavailable" not in done.stderr
    assert len(done.stdout.split()) == 6, done.stdout
    assert tokens(server) == 3
    server.ended()


def test_a_fifo_that_a_build_has_filled_fails_nobody_and_is_emptied(server: Jobserver) -> None:
    server.started()
    server.started()
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(server._tokens.fd, b"+" * 512)
    server.ended()
    server.ended()
    assert tokens(server) == 4
