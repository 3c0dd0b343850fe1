"""scripts/host-packages: what it decides on hosts that lack things; its apt-get is a stand-in.

What real apt does with it is shown by `make proof-fresh`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.booting import OVMF
from tests.support import ROOT

PYTHON = "#!/bin/sh\nexit 0\n"  # has venv and ensurepip


def host(bin_: Path, what: str, *tools: str, **scripts: str) -> subprocess.CompletedProcess[str]:
    """Run the script where only these tools and scripts are."""
    bin_.mkdir()
    for name in ("sh", *tools):
        found = shutil.which(name)
        assert found is not None
        (bin_ / name).symlink_to(found)
    for name, text in {"id": "#!/bin/sh\necho 1000\n", "python3": PYTHON, **scripts}.items():
        (bin_ / name.replace("_", "-")).write_text(text)
        (bin_ / name.replace("_", "-")).chmod(0o755)
    script = (ROOT / "scripts/host-packages").read_text()
    # The host's own tools of administrators are not of the host that is meant here.
    narrow = script.replace(":/usr/sbin:/sbin", "")
    assert narrow != script
    return subprocess.run(
        ["/bin/sh", "-c", narrow, "host-packages", what],
        env={"PATH": os.fspath(bin_)}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_users_are_given_everything_in_one_line_and_tests_go_on(tmp_path: Path) -> None:
    done = host(tmp_path / "bin", "test")
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    for package in ("mmdebstrap", "uidmap", "podman", "chromium", "xfsprogs"):
        assert f" {package}" in line
    refused = host(tmp_path / "bare", "test", python3="#!/bin/sh\nexit 1\n")
    assert refused.returncode == 3  # without venv nothing goes on
    (line,) = refused.stderr.splitlines()
    assert "apt install python3-venv mmdebstrap" in line
    assert " procps" in line


def test_tests_need_files_that_are_no_programs(tmp_path: Path) -> None:
    (line,) = host(tmp_path / "bin", "test").stderr.splitlines()
    assert " busybox-static" in line
    assert (" ovmf" in line) == (not OVMF.exists())


def test_every_program_that_a_test_looks_for_is_listed() -> None:
    """A host where one is there by chance would hide that others cannot run the test."""
    listed = {*re.findall(r"([\w./-]+):[\w.-]+", (ROOT / "scripts/host-packages").read_text())}
    looked_for = {
        name
        for file in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"which\(\"([^\"]+)\"", file.read_text())
    }
    assert len(looked_for) > 10
    always = {"bash", "prlimit"}  # of Debian's essential packages
    brought = {"systemd-analyze"}  # by systemd-container
    assert looked_for - always - brought <= listed


@pytest.mark.parametrize("what", ["run", "bench"])
def test_what_running_needs_ends_it(tmp_path: Path, what: str) -> None:
    done = host(tmp_path / "bin", what)
    assert done.returncode == 3
    assert "apt install mmdebstrap uidmap" in done.stderr


def test_root_without_apt_is_told_as_well(tmp_path: Path) -> None:
    done = host(tmp_path / "bin", "run", id="#!/bin/sh\necho 0\n")
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1


APT = """#!/bin/sh
echo "$@" >> {bin}/called
case "$*" in
    update*) exit 100 ;;
    *" chromium"*) exit 100 ;;
esac
for each in "$@"; do ln -sf /bin/true {bin}/"$each"; done
ln -sf /bin/true {bin}/newuidmap
"""


def test_root_installs_what_there_is_whatever_apts_lists_lack(tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    root = "#!/bin/sh\necho 0\n"
    done = host(bin_, "test", "ln", id=root, apt_get=APT.format(bin=bin_))
    assert done.returncode == 0, done.stderr
    calls = (bin_ / "called").read_text().splitlines()
    assert calls[0].startswith("update")
    assert calls[1].count(" ") > 20  # all at once, first
    assert any(call.endswith(" tmux") for call in calls[2:])
    assert "could not be updated" in done.stderr
    assert " chromium" in done.stderr.splitlines()[-1]
    assert " tmux" not in done.stderr.splitlines()[-1]
    again = host(tmp_path / "run", "run", "ln", id=root, apt_get=APT.format(bin=tmp_path / "run"))
    assert again.returncode == 0
    assert again.stdout == "installing mmdebstrap uidmap\n"
