"""Command lines of a cluster that cannot work: one line each."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
sys.modules["distributed"] = None
from cloche.cli.main import main
main()
"""


def cloche(*words: str, store: Path, program: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", program] if program else ["-m", "cloche.cli"]
    command = [sys.executable, *start, "--store", str(store), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "words", [("worker", "--scheduler", "h:1"), ("cluster", "up")], ids=["worker", "cluster"]
)
def test_a_missing_extra_is_named(words: tuple[str, ...], tmp_path: Path) -> None:
    done = cloche(*words, store=tmp_path / "store", program=WITHOUT)
    assert done.returncode == 3
    assert done.stderr == (
        "cloche: distributed is not installed; run `pip install 'cloche[cluster]'`, "
        "or in a checkout `.venv/bin/pip install -e '.[cluster]'`\n"
    )
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("worker", "--scheduler", "http://h"), "“http://h” is not the address of a scheduler"),
        (("worker", "--scheduler", "h", "--tls-ca", "ca"), "TLS needs --tls-cert, --tls-key, too"),
        (
            ("worker", "--scheduler", "h", "--registry", "host"),
            "“host” is not the address of a registry",
        ),
        (("build", "x", "--verify-share", "5%"), "--verify-share needs --cluster"),
        (
            ("build", "x", "--cluster", "h", "--verify-share", "200%"),
            "--verify-share: “200%” is not a percentage from 0% to 100%",
        ),
    ],
)
def test_bad_words_are_refused_before_anything_is_made(
    words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    done = cloche(*words, store=tmp_path / "store")
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_a_port_that_is_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = cloche("cluster", "up", "--port", str(port), store=tmp_path / "store")
    assert done.returncode == 3
    assert f"cloche: cannot listen at 127.0.0.1:{port}: " in done.stderr
    assert "give another --port" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_unit_has_all_words_of_its_command(tmp_path: Path) -> None:
    words = ("worker", "--scheduler", "h", "--name", "a b", "--cores", "3", "--registry", "x://y")
    done = cloche(*words, "--print-unit", "systemd", store=tmp_path / "store")
    assert done.returncode == 0
    (line,) = (each for each in done.stdout.splitlines() if each.startswith("ExecStart="))
    assert line.endswith(
        f'--store {tmp_path}/store worker --scheduler tcp://h:8786 --name "a b" --cores 3 '
        "--registry x://y"
    )
