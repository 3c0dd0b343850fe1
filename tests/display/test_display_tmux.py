"""The real thing: a build in a tmux window, watched and steered as a person would."""

from __future__ import annotations

import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import WORKBENCH, Store, cannot, project
from tests.terminal import Tmux

pytestmark = pytest.mark.real

EBUILD = """EAPI=8
DESCRIPTION="A package that takes {seconds} seconds"
HOMEPAGE="https://example.org"
S="${{WORKDIR}}"
LICENSE="public-domain"
SLOT="0"
KEYWORDS="amd64 arm64"
DEPEND="{needs}"
src_compile() {{
    local i
    for i in $(seq {seconds}); do echo "{name}: line ${{i}}"; sleep 1; done
}}
"""
MACHINE = """seed = "debian"
profile = "workbench:default"
portage = ["base"]
packages = ["app-misc/last"]
"""
PACKAGES = {"quick": (0, ""), "endless": (900, "app-misc/quick"), "last": (0, "app-misc/endless")}


@pytest.fixture
def window(root_seeded: Store, fresh, tmp_path) -> Iterator[Tmux]:
    """`cloche build` of three packages in 100x30; the second would take a quarter of an hour."""
    if shutil.which("tmux") is None:
        cannot("tmux is not installed")
    store = fresh(root_seeded)
    place = project(store, WORKBENCH)
    (place / "machines/slow.toml").write_text(MACHINE)
    for name, (seconds, needs) in PACKAGES.items():
        directory = place / "repo/app-misc" / name
        directory.mkdir()
        text = EBUILD.format(name=name, seconds=seconds, needs=needs)
        (directory / f"{name}-1.ebuild").write_text(text)
        (directory / "Manifest").touch()
    build = store.user.command("--store", store.path, "-C", place, "build", "slow", "--jobs", "2")
    environment = {**store.user.environment({"LC_ALL": "C.UTF-8"})}
    words = ["env", *(f"{k}={v}" for k, v in environment.items()), *build]
    command = (
        f"{shlex.join(words)}; echo status $?; stty -a | grep -ow '.icanon\\|icanon'; sleep 999"
    )
    tmux = Tmux(str(tmp_path / "socket"), 100, 30, command)
    yield tmux
    tmux.close()


def test_a_build_is_watched_its_log_read_and_a_package_stopped(window: Tmux) -> None:
    text = window.wait("▶ app-misc/endless-1  compile")
    assert "● app-misc/quick-1" in text
    assert "○ app-misc/last-1  waits for 1" in text
    window.keys("Down", "Enter")
    window.wait("app-misc/endless-1  build log", "endless: line 3")
    window.resize(80, 20)
    window.keys("q")
    window.wait("▶ app-misc/endless-1", without="endless: line")
    window.resize(20, 5)
    time.sleep(0.5)
    window.resize(80, 20)
    text = window.wait("▶ app-misc/endless-1", "so far", without="endless: line")
    assert text.count("so far") == 1
    assert text.count("▶ app-misc/endless-1") == 1  # nothing of the picture in the low window
    window.keys("s")
    window.wait("stop app-misc/endless-1?")
    window.keys("y")
    text = window.wait("status 1", "\nicanon")  # which stty says after it
    assert "✘ [2/3] app-misc/endless-1" in text
    assert "stopped" in text
    assert "so far" not in text


PLAYER = """
import sys, time
from replay import recorded
from cloche.display.live import Live

picture = Live(sys.stdout)
for event in recorded("many"):
    picture(event)
    time.sleep(0.02)
time.sleep(999)
"""


def test_nothing_of_the_picture_is_left_by_low_windows(tmp_path: Path) -> None:
    """Rows that a low window pushed out come back when it grows, at once or row by row."""
    if shutil.which("tmux") is None:
        cannot("tmux is not installed")
    player = tmp_path / "player.py"
    player.write_text(PLAYER)
    python = f"PYTHONPATH={Path(__file__).parent} LC_ALL=C.UTF-8 {sys.executable}"
    tmux = Tmux(str(tmp_path / "socket"), 100, 30, f"{python} {player} 2>&1; sleep 999")
    try:
        tmux.wait("● [ 20/400]", "so far")
        slowly = [(100, rows) for rows in (6, 7, 8, 10, 13, 18, 24, 30)]
        whole, narrow, low = (100, 30), (80, 24), (20, 5)
        for steps in ([low, whole], [low, narrow], [low, whole], slowly):
            for columns, rows in steps:
                tmux.resize(columns, rows)
                time.sleep(0.4)
            text = tmux.wait("so far")
            shown = [line for line in text.splitlines() if line]
            went_by = [line.startswith(("● [", "✘ [")) for line in shown]
            assert went_by == sorted(went_by, reverse=True), text  # then the picture alone
            numbers = [int(line[3:].partition("/")[0]) for line in shown[: sum(went_by)]]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), text
            assert text.count("so far") == 1, text
    finally:
        tmux.close()


def test_a_whole_build_is_stopped_and_the_terminal_is_whole(window: Tmux) -> None:
    window.wait("▶ app-misc/endless-1  compile")
    window.keys("S")
    window.wait("stop the whole build?")
    window.keys("y")
    text = window.wait("status 130")
    assert "cloche: interrupted" in text
    window.wait("\nicanon")
    assert "so far" not in window.text
