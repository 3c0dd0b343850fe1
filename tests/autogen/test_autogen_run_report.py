"""What a run over a list reports, and where to."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.autogen.forge import NAME
from tests.autogen.overlay import Overlay


def publish(overlay: Overlay) -> None:
    overlay.list("[pypi.alpha]\n")
    overlay.index.release("alpha", "1.0", "Requires-Python: >=3.12")


def test_a_report_without_a_place_is_told_before_the_work(overlay: Overlay) -> None:
    publish(overlay)
    done = overlay.run("--report", str(overlay.room / "none/report.json"))
    assert done.exit_code == 2
    assert "none is not there" in done.stderr
    assert not overlay.ebuilds()


def test_a_report_is_written_whether_or_not_all_went_well(overlay: Overlay) -> None:
    overlay.list("[pypi.nowhere]\n")
    done = overlay.run("--report", str(overlay.room / "report.json"))
    assert done.exit_code == 1
    assert "refused" in done.stdout
    report = json.loads((overlay.room / "report.json").read_text())
    assert report["counts"] == {
        "new": 0, "changed": 0, "removed": 0, "refused": 1, "failed": 0, "unchanged": 0
    }  # fmt: skip
    assert report["repository"] == str(overlay.repository)
    program = [sys.executable, "-m", "cloche", *overlay.words()]  # not only inside of a test
    assert subprocess.run(program, capture_output=True, check=False).returncode == 1


def test_a_pipe_gets_the_report_and_stays(overlay: Overlay) -> None:
    """As root, /dev/stdout would be replaced by a file otherwise."""
    publish(overlay)
    pipe = overlay.room / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert overlay.run("--report", str(pipe)).exit_code == 0
        assert json.loads(os.read(reader, 1 << 16))["counts"]["new"] == 1
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_a_tag_does_not_steer_the_terminal(overlay: Overlay) -> None:
    overlay.forge.tag("v1.2\x1b]0;x", {})
    overlay.list(f'[github."{NAME}"]\nmatching = "^never"\n')
    told = overlay.run().stdout
    assert "some are v1.2\\x1b]0;x" in told
    assert "\x1b" not in told
