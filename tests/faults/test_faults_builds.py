"""Ebuilds that fail, hang, fork away, scream, reach for the network: what a person is told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.looking import InTerminal, machine, processes, said, settled
from tests.support import Store, cannot

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]


def test_a_failure_shows_the_compilers_words_and_the_way_in(faulty: Faulty) -> None:
    store, project = faulty
    clean = store.cloche(
        "shell", "fails", "--package", "bad/fails", "--", "find", "/var/tmp/portage", cwd=project
    )
    assert clean.returncode == 0, clean.stderr
    assert clean.stdout.split() == ["/var/tmp/portage"]

    done = store.cloche("build", "fails", cwd=project)
    line = said(done, 1)
    assert re.search("broken.c:3:16: error: .forgotten_variable. undeclared", done.stderr)
    assert "bad/fails-1::faults: build failed: phase compile: the compiler gave up" in done.stderr
    assert "Call stack" not in done.stderr
    log, shell = re.findall(r"`cloche ([^`]+)`", line)
    assert (log, shell) == ("log bad/fails-1", "shell fails --package =bad/fails-1")

    logged = store.cloche(*log.split(), cwd=project, check=True).stdout
    assert "forgotten_variable" in logged
    assert ">>> Unpacking source" in logged

    command = (
        "pwd; cat progress.txt ../temp/outside.txt; . ../temp/environment; type -t src_compile"
    )
    inside = store.cloche(*shell.split(), "--", "bash", "-c", command, cwd=project)
    assert inside.returncode == 0, inside.stderr
    assert inside.stdout.splitlines() == [
        "/var/tmp/portage/bad/fails-1/work",
        "so far so good",
        "made outside of the work directory",
        "function",
    ]
    assert "failed here" in inside.stderr
    status = store.cloche(*shell.split(), "--", "sh", "-c", "exit 7", cwd=project).returncode
    assert status == 7


def test_mending_the_ebuild_is_enough(faulty: Faulty) -> None:
    store, project = faulty
    said(store.cloche("build", "fails", cwd=project), 1)
    source = project / "repo/bad/fails/files/broken.c"
    broken = source.read_text()
    try:
        source.write_text("int main(void) { return 0; }\n")
        ebuild = next((project / "repo/bad/fails").glob("*.ebuild"))
        done = store.cloche("build", "fails", cwd=project)
        assert done.returncode == 0, (ebuild, done.stderr)
        arguments = ("shell", "fails", "--package", "bad/fails", "--", "ls", "/var/tmp/portage")
        assert store.cloche(*arguments, cwd=project, check=True).stdout == ""
    finally:
        source.write_text(broken)


def test_keep_going_builds_all_that_does_not_depend_on_it(
    faulty: Faulty, fresh: Callable[[Store], Store]
) -> None:
    _, project = faulty
    store = fresh(faulty[0])
    done = store.cloche("build", "keep-going", "--jobs", "1", "--keep-going", cwd=project)
    line = said(done, 1)
    assert "1 failed: bad/fails-1::faults; 1 more were not started" in line
    fates = {p["cpv"]: p["fate"] for p in plan(store, project, "keep-going")}
    assert fates == {
        "bad/fails-1": "build",
        "bad/needs-fails-1": "perhaps",
        "good/tiny-1": "reuse",
        "good/declared-1": "reuse",
        "good/plain-1": "reuse",
    }


def test_what_was_finished_before_a_failure_is_kept(
    faulty: Faulty, fresh: Callable[[Store], Store]
) -> None:
    _, project = faulty
    store = fresh(faulty[0])
    name = machine(project, "late", "good/plain", "late/last")
    late = project / "repo/late/last"
    late.mkdir(parents=True)
    text = next((project / "repo/bad/fails").glob("*.ebuild")).read_text()
    text = re.sub(r"src_compile.*", "", text, flags=re.DOTALL)
    text += 'DEPEND="good/plain"\nsrc_install() { die "at last"; }\n'
    (late / "last-1.ebuild").write_text(text)
    assert "late/last" in said(store.cloche("build", name, cwd=project), 1)
    fates = {p["cpv"]: p["fate"] for p in plan(store, project, name)}
    assert fates == {"good/plain-1": "reuse", "late/last-1": "build"}
    store.cloche("store", "gc", cwd=project, check=True)
    assert {p["cpv"]: p["fate"] for p in plan(store, project, name)} == fates


def test_a_hanging_phase_is_ended_with_all_its_children(faulty: Faulty) -> None:
    store, project = faulty
    done = store.cloche("build", "hangs", cwd=project, timeout=60)
    said(done, 1)
    assert "phase compile was stopped after 4 s" in done.stderr
    assert processes("faults-hangs-") == []
    assert settled(store) == []


def test_an_ebuild_that_hangs_while_it_is_read_is_ended(faulty: Faulty) -> None:
    store, project = faulty
    hangs = project / "repo/late/hangs"
    hangs.mkdir(parents=True)
    text = next((project / "repo/bad/fails").glob("*.ebuild")).read_text()
    (hangs / "hangs-1.ebuild").write_text(text + "while :; do :; done\n")
    name = machine(project, "reading", "late/hangs", more='[limits]\nphase_timeout = "3s"\n')
    try:
        line = said(store.cloche("build", name, cwd=project, timeout=60), 1)
        assert "time limit" in line
        assert settled(store) == []
    finally:
        (hangs / "hangs-1.ebuild").unlink()


def test_a_fork_bomb_ends_with_its_phase(faulty: Faulty) -> None:
    store, project = faulty
    said(store.cloche("build", "bomb", cwd=project, timeout=60), 1)
    assert settled(store) == []
    log = store.cloche("log", "bad/bomb", cwd=project, check=True).stdout
    assert "Resource temporarily unavailable" in log


def test_too_much_memory_is_one_packages_trouble(faulty_root: Faulty) -> None:
    store, project = faulty_root
    if not os.access("/sys/fs/cgroup", os.W_OK):
        cannot("no control groups can be made here")
    done = store.cloche("build", "eats", cwd=project)
    said(done, 1)
    assert "phase compile: no more" in done.stderr
    assert "a process was killed: it may need more memory than [limits] memory" in done.stderr


def test_a_daemon_survives_nowhere(faulty: Faulty) -> None:
    store, project = faulty
    began = time.monotonic()
    done = store.cloche("build", "daemon", cwd=project)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60  # nobody waits for them
    for phase in ("compile", "merge"):
        left = f"bad/daemon-1: phase {phase} left processes running, ended now: "
        assert re.search(f"{left}.*faults-daemon 3600", done.stderr), done.stderr
    log = store.cloche("log", "bad/daemon", cwd=project, check=True).stdout
    assert "the daemon runs" in log
    assert processes("faults-daemon") == []
    assert settled(store) == []


def test_a_log_is_no_file_of_the_ebuilds(faulty: Faulty) -> None:
    """What a build writes to is a pipe: the log keeps its content, its mode and its owner."""
    store, project = faulty
    store.cloche("build", "owns-log", cwd=project, check=True)
    told = store.cloche("log", "bad/owns-log", cwd=project, check=True).stdout
    assert "before" in told
    assert "1 is a pipe, 2 is a pipe" in told
    logs = list((store.path / "logs/bad/owns-log-1").iterdir())
    assert logs
    for path in logs:
        assert path.stat().st_mode & 0o7133 == 0
        assert path.stat().st_uid == store.path.stat().st_uid


def test_a_build_has_no_network_and_is_told_so(faulty: Faulty) -> None:
    store, project = faulty
    done = store.cloche("build", "network", cwd=project)
    said(done, 1)
    assert "Network is unreachable" in done.stderr
    assert "a build has no network: all sources belong in SRC_URI" in done.stderr


def test_a_failing_hook_names_its_step_and_its_log(faulty: Faulty) -> None:
    store, project = faulty
    done = store.cloche("build", "hook", cwd=project)
    line = said(done, 1)
    assert "merge failed: phase postinst: the hook failed" in done.stderr
    (log,) = re.findall(r"`cloche (log [^`]+)`", line)
    assert "the hook failed" in store.cloche(*log.split(), cwd=project, check=True).stdout


@pytest.mark.parametrize("name", ["screams", "escapes"])
def test_nothing_of_theirs_steers_the_terminal(
    faulty: Faulty, terminal: Callable[..., InTerminal], name: str
) -> None:
    store, project = faulty
    started = terminal(store, "build", name, "--progress", "plain", cwd=project)
    assert started.ended() == (1 if name == "screams" else 2)
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]", started.output)
    # Of a log the sequences are left out; what is quoted from a file is shown escaped.
    assert (b"phase compile: it failed" if name == "screams" else rb"\x1b[2J") in started.output
    if name == "screams":
        shown = terminal(store, "log", "bad/screams", cwd=project)
        assert shown.ended() == 0
        assert rb"\x1b[31mred" in shown.output
        assert b"\x1b" not in shown.output


def plan(store: Store, project: Path, name: str) -> list[dict[str, str]]:
    import json

    told = store.cloche("plan", name, "--json", cwd=project, check=True)
    packages: list[dict[str, str]] = json.loads(told.stdout)["packages"]
    return packages
