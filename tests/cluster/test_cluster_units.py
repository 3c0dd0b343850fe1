"""Unit files run the command that printed them."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.cluster.units import Unit, unit_text

WORDS = ("--scheduler", "tls://h:1", "--name", "it's 100% $HOME \\ “a b”")
UNIT = Unit("worker", WORDS, Path("/var/my store"))


def test_systemd_takes_the_unit_and_its_words(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        cannot("systemd-analyze is missing")
    text = unit_text("systemd", UNIT)
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    program = line.removeprefix("ExecStart=").split()[0]
    file = tmp_path / "cloche-worker.service"
    file.write_text(text.replace(program, "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", file], capture_output=True, text=True, check=False
    )
    assert "cloche-worker.service" not in done.stderr, done.stderr


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_init_script_gives_all_words_to_the_program(shell: str, tmp_path: Path) -> None:
    script = tmp_path / "init"
    script.write_text(unit_text("openrc", UNIT))
    # As supervise-daemon does: the shell splits what the variable holds.
    shown = f'. {script}; eval "set -- $command_args"; printf "%s\\n" "$@"'
    said = subprocess.run([shell, "-c", shown], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["--store", "/var/my store", "worker", *WORDS]
    assert shlex.split(script.read_text().partition("command=")[2].splitlines()[0])
