"""What opening a freshroot loads: most of its time is the loading of modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cloche.workflows.freshroot import host_name

OPENING = "cloche.cli.main, cloche.cli.freshroot, cloche.workflows.freshroot_desk"
PROGRAM = f"import sys, {OPENING}; import cloche.workflows.freshroot; print(*sys.modules)"
#: What resolves, builds and draws.
NOT_NEEDED = (
    *("cloche.building.machine", "cloche.building.packages", "cloche.building.forecast"),
    *("cloche.output.deliver", "cloche.session.building", "cloche.session.several"),
    *("cloche.display.live", "cloche.audit.audit", "cloche.cli.machine"),
)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("web", "freshroot-web"),
        ("web_2.old+", "freshroot-web-2-old"),
        ("x" * 80, "freshroot-" + "x" * 53),
    ],
)
def test_a_prompt_says_which_root_it_is_in(name: str, wanted: str) -> None:
    assert host_name(name) == wanted


def test_what_only_builds_need_is_not_loaded() -> None:
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "cloche.session.session" in loaded
    assert not set(NOT_NEEDED) & set(loaded)
