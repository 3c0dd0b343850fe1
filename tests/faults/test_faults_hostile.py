"""Ebuilds that turn against cloche itself: its host is unharmed, each ends in a clear error."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from tests.faults.looking import machine, said, settled
from tests.support import Store, make_device

from cloche.tasks import build, errors, guestcall

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]
Attacked = tuple[Store, Path, CompletedProcess[str]]

CHANNEL = "late/channel-1::faults"
# The guest, the sandbox's first command, is process 2; 64 is its channel to the host.
ATTACKS = {
    # In place of the package, what would let the host read, or wait for, something else.
    "link": """
src_install() {
	printf '%s\\n' 'import os' \\
		'os.symlink("/etc/os-release", "/run/cloche/out/link-1-1.gpkg.tar")' \\
		> "${PORTAGE_BIN_PATH}"/gpkg-helper.py || die
}
""",
    # Whatever the channel takes, and a result that is none; then nobody is left to give one.
    "channel": """
pkg_setup() {
	{
		printf '\\377\\0garbage\\n[1, 2]\\n"text"\\n{}\\n'
		head -c 300000 /dev/zero | tr '\\0' '['
		echo
		head -c 300000 /dev/zero | tr '\\0' '[' | sed 's/^/{"event":/'
		echo
		printf '{"event": "phase", "phase": "\\\\u001b[2J", "state": "start"}\\n'
		printf '{"event": "phase", "phase": ["compile"], "state": {}}\\n'
		for n in {1..3000}; do echo '{"event":"phase","phase":"compile","state":"start"}'; done
		echo '{"event": "result", "status": "ok", "gpkg": "../../../../etc/passwd"}'
	} > /proc/2/fd/64
	kill -KILL 2
}
""",
    # A log without end, which is no file that could be made long at no cost.
    "log": """
pkg_setup() {
	truncate -s 8E /proc/2/fd/1 || truncate -s 4T /proc/2/fd/1
	dd if=/dev/zero bs=1M count=1100 > /proc/2/fd/1
	sleep 600
}
""",
    # What is kept of a failure, for a person to look into.
    "kept": """
pkg_setup() {
	rm -rf "${T}" "${WORKDIR}"
	ln -s / "${WORKDIR}"
	mkdir -p "${T}"
	mkfifo "${T}"/environment "${T}"/build.log
	ln -s /proc/self/fd/0 "${T}"/fd
	chmod 4755 "${PORTAGE_BUILDDIR}"
	kill -KILL 2
}
""",
}


@pytest.fixture(scope="module")
def attacked(faulty_root: Faulty) -> Attacked:
    """All of them were built, by root; its events and what was told."""
    store, project = faulty_root
    text = (project / "repo/bad/fills/fills-1.ebuild").read_text()
    for name, attack in ATTACKS.items():
        place = project / "repo/late" / name
        place.mkdir(parents=True)
        (place / f"{name}-1.ebuild").write_text(text[: text.index("src_compile")] + attack)
    hostile = machine(project, "hostile", *(f"late/{name}" for name in ATTACKS))
    before = host_files()
    done = store.cloche("build", hostile, "--keep-going", "--progress", "json", cwd=project)
    assert host_files() == before
    said(done, 1)
    assert settled(store) == []
    return store, project, done


def host_files() -> list[tuple[str, str, int]]:
    files = [Path(name) for name in ("/etc/os-release", "/usr/bin/env")]
    return [(str(f), hashlib.sha256(f.read_bytes()).hexdigest(), f.stat().st_mode) for f in files]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "the guest left no package named 'link-1-1.gpkg.tar'"),
        ("channel", "exit status 137"),
        ("log", "phase setup: the log exceeded 1024 MiB"),
        ("kept", "signal 9"),
    ],
)
def test_an_attack_is_one_packages_failure(attacked: Attacked, name: str, reason: str) -> None:
    told = attacked[2].stderr
    (line,) = re.findall(rf"^.*late/{name}-1::faults: build failed.*$", told, re.MULTILINE)
    assert reason in line


def test_nothing_of_theirs_is_kept(attacked: Attacked) -> None:
    store, _, _ = attacked
    secret = hashlib.sha256(Path("/etc/os-release").read_bytes()).hexdigest()
    assert not (store.path / "blobs" / secret).exists()
    logs = list(store.path.glob("logs/late/log-1/*"))
    assert logs
    assert max(path.stat().st_size for path in logs) <= guestcall.LONGEST_LOG


def test_the_displays_were_told_no_phases_of_theirs(attacked: Attacked) -> None:
    events = [json.loads(line) for line in attacked[2].stdout.splitlines()]
    phases = [e for e in events if e["event"] == "phase" and e["package"] == CHANNEL]
    assert [(e["phase"], e["state"]) for e in phases] == [("setup", "start"), ("compile", "start")]


def test_a_kept_root_full_of_traps_can_be_entered_and_removed(
    attacked: Attacked,
) -> None:
    store, project, _ = attacked
    arguments = ("shell", "hostile", "--package", "late/kept", "--", "cat", "/proc/1/comm")
    entered = store.cloche(*arguments, cwd=project, timeout=60)
    assert "Traceback" not in entered.stderr
    store.cloche("store", "gc", "--failed", cwd=project, check=True)
    assert not list((store.path / "failed").iterdir())


@pytest.mark.parametrize("kind", ["link", "fifo", "directory", "character", "missing"])
def test_only_a_plain_file_is_taken_for_a_package(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "x-1.gpkg.tar"
    if kind == "link":
        place.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "character":
        make_device(place, 5)
    with pytest.raises(errors.StepError, match="the guest left no package named"):
        build.taken(tmp_path, place.name, "late/x-1::faults")


@pytest.mark.parametrize(
    "name", ["../x.gpkg.tar", "/etc/passwd", "x.gpkg.tar\n", ".gpkg.tar/..", ""]
)
def test_no_name_leads_out_of_the_output_directory(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "x.gpkg.tar").write_text("")
    with pytest.raises(errors.StepError, match="the guest left no package named"):
        build.taken(tmp_path / "out", name, "late/x-1::faults")


def test_other_users_reach_no_setuid_program_of_a_store(seeded: Store) -> None:
    found = subprocess.run(
        ["find", seeded.path / "layers", "-perm", "-4000", "-type", "f", "-print", "-quit"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert found
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "test", "-e"]
    for path, status in ((seeded.path, 0), (seeded.path / "version", 1), (found, 1)):
        assert subprocess.run([*nobody, path], check=False).returncode == status, path
