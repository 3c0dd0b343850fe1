"""Nothing that comes from outside ends in a traceback, a hang, or a full memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.fuzz import learned
from tests.fuzz.targets import TARGETS
from tests.support import ROOT

DEEP = 30_000  # levels
#: For each target. It begins with what runs of more than a minute learned, and goes on from there.
SECONDS = os.environ.get("CLOCHE_FUZZ_SECONDS", "20")
FOUND = Path(__file__).parent / "found"  # inputs that once were faults: TARGET-what-it-was


@pytest.mark.parametrize("name", TARGETS)
def test_valid_data_is_read(name: str) -> None:
    target = TARGETS[name]
    for parser, inputs in zip(target.parsers, target.corpus, strict=True):
        for each in inputs:
            parser(each)  # and is not refused


@pytest.mark.parametrize("path", sorted(FOUND.iterdir()), ids=lambda path: str(path.name))
def test_what_once_was_a_fault_is_refused(path: Path) -> None:
    TARGETS[path.name.partition("-")[0]](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_has_learned_is_read_or_refused(name: str) -> None:
    inputs = learned.inputs(name)
    assert len(inputs) > len(TARGETS[name].inputs())
    for each in inputs:
        TARGETS[name](each)


@pytest.mark.parametrize("name", TARGETS)
def test_deep_nesting_is_refused(name: str) -> None:
    target = TARGETS[name]
    for number in range(len(target.parsers)):
        for deep in (b"[" * DEEP, b'{"a":' * DEEP, b"a=" + b"[" * DEEP, b"a." * DEEP + b"a=1"):
            target(bytes([number]) + deep)


@given(st.sampled_from(sorted(TARGETS)), st.binary(max_size=300))
@example("json", b"\x02\xff")
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    TARGETS[name](data)


@pytest.mark.real
@pytest.mark.parametrize("name", TARGETS)
def test_fuzzing_finds_nothing(name: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.fuzz.run", name, SECONDS, str(tmp_path)]
    paths = f"{ROOT / 'src'}:{ROOT}"
    done = subprocess.run(
        words, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True
    )
    bad = {path.name: path.read_bytes()[:500] for path in tmp_path.glob("*-*")}
    assert done.returncode == 0, f"{bad}\n{done.stderr[-4000:]}"
    assert "stat::number_of_executed_units" in done.stderr
