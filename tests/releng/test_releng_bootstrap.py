"""What bootstrap.sh's calls of emerge leave, and what else such a script may leave there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from cloche.catalyst.emerge import EmergeCall
from cloche.errors import ClocheError
from cloche.releng.bootstrap import CALLS, RECORDER, read_calls


def emerge(directory: Path, *words: str, **environment: str) -> None:
    script = RECORDER.replace(CALLS, str(directory))
    own = {"PATH": os.environ["PATH"], **environment}
    subprocess.run(["bash", "-c", script, "emerge", *words], env=own, check=True)


def test_calls_keep_their_order_words_and_use(tmp_path: Path) -> None:
    emerge(tmp_path, "--oneshot", "sys-libs/glibc", USE="-* build\n nls")
    emerge(tmp_path, "--version")
    emerge(tmp_path, "-u", "a/b", "@system", USE="")
    emerge(tmp_path, "a/b")
    assert read_calls(tmp_path, "x") == (
        EmergeCall(("--oneshot",), ("sys-libs/glibc",), "-* build\n nls"),
        EmergeCall(("--update",), ("a/b", "@system"), ""),
        EmergeCall((), ("a/b",), None),
    )


def test_without_a_package_there_is_no_stage2(tmp_path: Path) -> None:
    emerge(tmp_path, "--info")
    with pytest.raises(ClocheError, match="it does not call emerge for any package"):
        read_calls(tmp_path, "x/bootstrap.sh")


def test_use_cannot_add_lines_to_make_conf(tmp_path: Path) -> None:
    emerge(tmp_path, "a/b", USE='"\nFETCHCOMMAND="x')
    with pytest.raises(ClocheError, match="not USE flags"):
        read_calls(tmp_path, "x")


def test_only_files_are_read(tmp_path: Path) -> None:
    directory = tmp_path / "calls"
    directory.mkdir()
    (tmp_path / "secret").touch()
    place = directory / "1000"
    place.symlink_to("../secret")
    with pytest.raises(ClocheError, match="leads out of"):
        read_calls(directory, "x")
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(ClocheError, match="not a regular file"):
        read_calls(directory, "x")
