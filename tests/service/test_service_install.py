"""`cloche serve` as a service of the host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.support import cannot

from cloche.errors import ClocheError
from cloche.service.install import Setup, install, kind_of, text

PROJECT, STORE = Path("/srv/my machines"), Path("/var/lib/store")
WORDS = ("--host", "::", "--keep-size", "5%")
PROXY = 'http://u:"p%20w$x@proxy'
SETUP = Setup(PROJECT, STORE, WORDS, "nobody", {"https_proxy": PROXY}, 443)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    done = install(None, SETUP, tmp_path)
    assert done.path == tmp_path / "etc/systemd/system/cloche-serve.service"
    assert "systemctl enable --now cloche-serve" in done.command
    unit = done.path.read_text()
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert line.endswith(
        '-C "/srv/my machines" --store /var/lib/store serve --host :: --keep-size 5%%'
    )
    assert "\nUser=nobody\n" in unit
    assert "\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n" in unit
    assert '\nEnvironment="https_proxy=http://u:\\"p%%20w$x@proxy"\n' in unit
    if shutil.which("systemd-analyze") is None:
        cannot("systemd-analyze: not installed")
    checked = tmp_path / "cloche-serve.service"
    program = line.removeprefix("ExecStart=").split()[0]
    checked.write_text(unit.replace(program, "/bin/true"))
    run = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", checked], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_openrc_takes_the_script(tmp_path: Path) -> None:
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin/openrc-run").touch()
    done = install(None, SETUP, tmp_path)
    assert done.path == tmp_path / "etc/init.d/cloche-serve"
    assert done.path.stat().st_mode & 0o777 == 0o755
    script = done.path.read_text()
    subprocess.run(["bash", "-n", done.path], check=True)
    shown = subprocess.run(
        ["bash", "-c", f"set -e; . {done.path}; eval \"printf '%s\\n' $command_args\";"
         " printenv https_proxy; echo $command_user; declare -f start_pre"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    words = ["-C", str(PROJECT), "--store", str(STORE), "serve", *WORDS]
    lines = shown.stdout.splitlines()
    assert lines[: len(words)] == words
    assert lines[len(words) : len(words) + 2] == [PROXY, "nobody"]
    assert "--owner nobody" in lines[-2]
    assert script == text("openrc", SETUP)


def test_a_host_without_either_says_what_helps(tmp_path: Path) -> None:
    with pytest.raises(ClocheError, match="--print"):
        kind_of(tmp_path)


def test_what_root_runs_names_no_user() -> None:
    unit = text("systemd", Setup(PROJECT, STORE, WORDS, port=443))
    assert "User=" not in unit
    assert "Capabilities" not in unit
