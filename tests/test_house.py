"""The house itself: rooms and their directions, types, style, sizes."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import cloche

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

CHECKS = {
    "ruff finds nothing": ("ruff", "check", "."),
    "ruff would change no layout": ("ruff", "format", "--check", "."),
    "types hold": ("mypy",),
    "rooms import downwards only": ("lint-imports",),
}


@pytest.mark.parametrize("command", CHECKS.values(), ids=CHECKS.keys())
def test_tools_find_nothing(command):
    tool, *arguments = command
    done = subprocess.run(
        [BIN / tool, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", cloche.__all__)
def test_what_the_library_offers_is_there(name):
    assert getattr(cloche, name).__name__ == name


def test_files_can_be_held_in_the_head():
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for top in ("src", "tests", "bench")
        for path in (ROOT / top).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > 440} == {}


def test_no_name_of_a_registry_or_mirror_is_written_down():
    tracked = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    bad = ["debian" + ".org", "pypi" + ".org", "python" + "hosted.org"]
    found = [
        name
        for name in filter(None, tracked)
        if any(host.encode() in (ROOT / name).read_bytes() for host in bad)
    ]
    assert found == []


def test_every_proof_is_described():
    marked = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r'mark\.proof\(name="(\w+)"\)', path.read_text())
    }
    told = set(re.findall(r"`make proof-(\w+)`", (ROOT / "docs/proofs.md").read_text()))
    targets = set(re.findall(r"^proof-(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    scripts = {path.name.removeprefix("proof-") for path in (ROOT / "scripts").glob("proof-*")}
    assert marked | scripts == told == targets


def test_tests_mirror_the_rooms():
    """A test lies in the folder of the room that it tests, and is named after what it tests there.

    Three folders test the house as a whole: whole machines, failures, data from outside.
    """
    rooms = {path.name for path in (ROOT / "src/cloche").iterdir() if path.is_dir()}
    lost = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").glob("*/**/test_*.py")
        if path.parent.name not in {*rooms, "machine", "faults", "fuzz"}
        or not re.fullmatch(rf"test_{path.parent.name}(_\w+)?\.py", path.name)
    ]
    assert lost == []
