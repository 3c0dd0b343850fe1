"""Invariant 5: killed at any moment, interrupted, two at once: the store stays whole."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.faults.looking import PROJECT, InTerminal, settled
from tests.support import Root, Store, project, with_own_root

import cloche.store as stores

pytestmark = pytest.mark.real

MOMENTS = 4  # for each user; as many as are proven in docs/proofs.md come by `make proof-kills`
MANY = 60
MACHINE = "chain"
PACKAGES = 6


def chain(store: Store, root: Root) -> Path:
    """A copy of the project."""
    where = project(store, PROJECT)
    if root == "own":
        with_own_root(where, MACHINE, f"{MACHINE}/six")
        store.user.own(where)
    return where


@pytest.fixture(scope="module")
def undisturbed(root_seeded: Store, root_of: Root, ground: Path) -> Mapping[str, str]:
    """The layers of a build that nothing disturbed."""
    store = root_seeded.copy(ground / f"undisturbed-{root_of}")
    where = chain(store, root_of)
    store.cloche("build", MACHINE, cwd=where, check=True)
    layers = store.layers(where, MACHINE)
    assert len(layers) == PACKAGES + (4 if root_of == "own" else 0)  # the C library and so on
    shutil.rmtree(store.path)
    return layers


many = pytest.param(MANY, marks=pytest.mark.proof(name="kills"))


@pytest.mark.parametrize("number_of_moments", [MOMENTS, many])
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_killed_at_any_moment_the_next_run_goes_on(
    request: pytest.FixtureRequest,
    fresh: Callable[[Store], Store],
    undisturbed: Mapping[str, str],
    root_of: Root,
    user: str,
    number_of_moments: int,
) -> None:
    """A seed in CLOCHE_TESTS_RANDOM repeats a run."""
    chosen = int(os.environ.get("CLOCHE_TESTS_RANDOM", time.time_ns() % 1_000_000))
    print(f"CLOCHE_TESTS_RANDOM={chosen}")
    moments = random.Random(chosen)
    store = fresh(request.getfixturevalue(f"{user}_seeded"))
    where = chain(store, root_of)
    # By then the resolution, and no package, is in the store.
    store.cloche("plan", MACHINE, cwd=where, check=True)
    for number in range(number_of_moments):
        wait, group = moments.uniform(0.1, 4.0), moments.random() < 0.5
        killed_after(store, where, wait, group=group)
        assert settled(store) == [], (chosen, number, wait, group)
        verified = store.cloche("store", "verify", cwd=where)
        assert verified.returncode == 0, (chosen, number, wait, group, verified.stdout)
        if number % 5 == 4:  # begin again, so that every moment of a build has its chance
            forget(store, where)
    store.cloche("build", MACHINE, cwd=where, check=True, timeout=120)
    assert store.layers(where, MACHINE) == undisturbed
    assert list((store.path / "tmp").iterdir()) == []


def killed_after(store: Store, where: Path, seconds: float, *, group: bool) -> None:
    """Build, and SIGKILL it: the whole process group, or the command line's process alone."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = ("--store", store.path, "build", MACHINE)
    running = store.user.start(*command, cwd=where, start_new_session=True, **quiet)
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(seconds)
    with contextlib.suppress(ProcessLookupError):
        if group:
            os.killpg(running.pid, signal.SIGKILL)
        else:
            running.kill()
    running.wait()


def forget(store: Store, where: Path) -> None:
    """Let everything of the machine have to be built again: its ebuilds change."""
    for ebuild in (where / "repo/chain").rglob("*.ebuild"):
        ebuild.write_text(ebuild.read_text() + "# again\n")


def test_two_at_once_end_well_with_the_same_layers(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    where, other = project(store, PROJECT), project(store, PROJECT)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    command = ("--store", store.path, "build", MACHINE)
    both = [
        store.user.start(*command, cwd=where, **pipes),
        store.user.start(*command, cwd=where, **pipes),
        store.user.start(*command, cwd=other, **pipes),
    ]
    outputs = [each.communicate(timeout=180)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0, 0], outputs
    assert store.layers(where, MACHINE) == store.layers(other, MACHINE)
    # Each package was built by one of them, and reused by the others.
    built = [re.search(r"^(\d+) packages? built", text, re.MULTILINE) for text in outputs]
    assert sum(int(found[1]) for found in built if found) == PACKAGES, outputs
    # Nothing was done twice: each package has one log of a build.
    logs = sorted(path.parent.name for path in (store.path / "logs/chain").rglob("*-build.log*"))
    assert len(logs) == len(set(logs)) == PACKAGES
    assert store.cloche("store", "verify", cwd=where).returncode == 0
    assert sorted(p.name for p in (where / "out" / MACHINE / "binpkgs").iterdir()) == sorted(
        p.name for p in (other / "out" / MACHINE / "binpkgs").iterdir()
    )


def test_gc_waits_for_a_build_and_says_for_which(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    running = store.user.start("--store", store.path, "build", MACHINE, cwd=where, **pipes)
    try:
        assert running.stderr is not None
        assert any("build " in line for line in iter(running.stderr.readline, ""))
        tried = store.cloche("store", "gc", "--dry-run", cwd=where, check=True).stderr
        assert (
            "note: the store is in use (`cloche" in tried
            or "note: the store is in use (cl" in tried
        )
        words = ("--store", store.path, "store", "gc")
        cleaning = store.user.start(*words, cwd=where, **pipes)
        assert cleaning.stderr is not None
        told = cleaning.stderr.readline()
        assert "other cloche processes are using the store (`cloche --store " in told
        assert f" build {MACHINE}`, process " in told
        assert told.endswith("; waiting\n")
        assert cleaning.poll() is None
    finally:
        running.terminate()
        rest = running.communicate(timeout=60)[1]
        assert running.returncode == 130, rest
    told = cleaning.communicate(timeout=60)[1]
    assert cleaning.returncode == 0, told
    assert "Traceback" not in told


def test_a_build_waits_while_another_has_the_store_to_itself(
    root_seeded: Store, fresh: Callable[[Store], Store]
) -> None:
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with stores.Store.open(store.path, exclusive=True):
        running = store.user.start("--store", store.path, "build", MACHINE, cwd=where, **pipes)
        assert running.stderr is not None
        told = running.stderr.readline()
        assert "another cloche process has exclusive access to the store (" in told
        assert told.endswith("; waiting\n")
    rest = running.communicate(timeout=180)[1]
    assert running.returncode == 0, rest


@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_ctrl_c_is_one_line_and_loses_nothing(
    request: pytest.FixtureRequest,
    fresh: Callable[[Store], Store],
    terminal: Callable[..., InTerminal],
    user: str,
) -> None:
    store = fresh(request.getfixturevalue(f"{user}_seeded"))
    where = project(store, PROJECT)
    started = terminal(store, "build", MACHINE, "--progress", "plain", "--jobs", "1", cwd=where)
    started.until(rb"\[3/6\] built .*\n(.*\n)*.* build ")
    time.sleep(0.5)
    before = len(started.output)
    started.press(b"\3")
    assert started.ended() == 130
    rest = started.output[before:].decode().replace("^C", "").split("\r\n")
    assert [line for line in rest if line.strip()][-1].startswith("cloche: interrupted; ")
    assert not any("failed" in line or "Traceback" in line for line in rest), rest
    assert settled(store) == []
    assert not list((store.path / "failed").glob("*chain*"))
    finished = set(re.findall(r"\] built +(\S+)", started.output.decode()))
    assert len(finished) >= 3
    done = store.cloche("build", MACHINE, cwd=where, check=True)
    assert finished <= set(re.findall(r"\] reused +(\S+)", done.stderr)), done.stderr
    assert store.cloche("store", "verify", cwd=where).returncode == 0


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.3, 0.45, 0.6, 0.9])
def test_ctrl_c_is_quiet_from_the_first_moment(
    root_seeded: Store,
    fresh: Callable[[Store], Store],
    terminal: Callable[..., InTerminal],
    seconds: float,
    root_project: Path,
) -> None:
    store = fresh(root_seeded)
    started = terminal(store, "build", MACHINE, "--progress", "plain", cwd=root_project)
    time.sleep(seconds)
    started.press(b"\3")
    status = started.ended()
    text = started.output.decode()
    # Before there is a line of ours, Python itself may have its say; a shell calls that 130, too.
    begun = {"__init__.py", "__main__.py", "cli/__init__.py", "cli/__main__.py"}
    assert set(re.findall(r'File "[^"\n]*/cloche/([^"\n]*)"', text)) <= begun, text
    early = ("Could not import runpy module", "Fatal Python error: init")
    own = {1} if any(words in text for words in early) else {130, -signal.SIGINT}
    assert status in own, text
    if "<frozen" not in text:
        assert "Traceback" not in text, text
        assert ("cloche: interrupted" in text) == (status == 130), text
    assert settled(store) == []


@pytest.fixture(scope="module")
def root_project(root_seeded: Store) -> Path:
    return project(root_seeded, PROJECT)


def test_impatience_does_no_harm(
    root_seeded: Store, fresh: Callable[[Store], Store], terminal: Callable[..., InTerminal]
) -> None:
    """Ctrl-C three times within a moment."""
    store = fresh(root_seeded)
    where = project(store, PROJECT)
    started = terminal(store, "build", MACHINE, "--progress", "plain", cwd=where)
    started.until(rb"build    ")
    for _ in range(3):
        started.press(b"\3")
        time.sleep(0.05)
    assert started.ended() == 130
    assert b"Traceback" not in started.output, started.output.decode()
    assert settled(store) == []
    assert store.cloche("store", "verify", cwd=where).returncode == 0
