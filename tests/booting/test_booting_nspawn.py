"""`cloche boot --nspawn`: a directory and a tarball of busybox, with real checks."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tests import guests
from tests.support import User, cannot

pytestmark = pytest.mark.real

MACHINE = """\
seed = "debian"
profile = "own:default"
packages = ["app-misc/greet"]

[output]
stage4 = true

[test]
commands = ["touch /made", "test ! -e /work", "! ifconfig -a | grep -q eth", "false"]
"""


@pytest.fixture(scope="module")
def place(root: User, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, and a root beside it."""
    place = tmp_path_factory.mktemp("nspawn")
    guests.project(place)
    (place / "machines/tiny.toml").write_text(MACHINE)
    guests.busybox_root(place / "root")
    if shutil.which("systemd-nspawn") is None:
        cannot("needs systemd-container")
    words = ["systemd-nspawn", "-q", "-D", place / "root", "--volatile=overlay", "--register=no"]
    words += ["--keep-unit", "--as-pid2", "/bin/sh", "-c", ":"]
    try:
        subprocess.run(words, capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        cannot(f"systemd-nspawn does not run here: {error} {error.stderr!r}")
    return place


def check(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 1, done.stderr
    states = [each["state"] for each in json.loads(done.stdout)["checks"]]
    assert states == ["passed"] * 4 + ["failed"], done.stdout


def test_a_directory_is_booted_and_stays_as_it_is(root: User, place: Path) -> None:
    words = ("--nspawn", "--test", "--machine", "tiny", "root", "--log", "log", "--json")
    check(root.run("boot", *words, cwd=place, timeout=240))
    assert not (place / "root/made").exists()


def test_a_machines_tarball_is_booted(root: User, place: Path) -> None:
    missing = root.run("boot", "--nspawn", "--test", "tiny", cwd=place)
    assert missing.returncode == 2
    assert "`cloche build tiny` makes it" in missing.stderr
    out = place / "out/tiny"
    out.mkdir(parents=True)
    words = ["tar", "-C", place / "root", "-czf", out / "stage4.tar.gz", "."]
    subprocess.run(words, check=True)
    check(root.run("boot", "--nspawn", "--test", "tiny", "--json", cwd=place, timeout=240))
    assert (out / "stage4.tar.gz.console.log").exists()


def test_what_it_cannot_boot_is_said(root: User, place: Path) -> None:
    empty = place / "empty"
    empty.mkdir()
    told = root.run("boot", "--nspawn", "empty", cwd=place)
    assert told.returncode == 2
    assert "the root has no init; add openrc, systemd or busybox" in told.stderr
    told = root.run("boot", "--nspawn", "empty", "--ssh", cwd=place)
    assert "--ssh is for QEMU, not for --nspawn" in told.stderr
    (place / "bin").mkdir()
    told = root.run("boot", "--nspawn", "root", cwd=place, env={"PATH": str(place / "bin")})
    assert told.returncode == 3
    assert "systemd-nspawn is not installed; install systemd-container (Debian)" in told.stderr
