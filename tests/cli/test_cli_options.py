"""Options behind the command, seeds of one name, streams that are closed."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from tests.support import User
from tests.values import stored

from cloche.seeds.stored import Seed
from cloche.store import Store

pytestmark = pytest.mark.real


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Two seeds of one name, of which a machine uses the second."""
    with Store.open(tmp_path / "store") as opened:
        for number in (1, 2):
            layer = stored(opened, "debian", "seed", file=str(number)).id
            about = Seed("debian", layer, "debian", "bookworm", "amd64", "x", 1, "3", float(number))
            data = {"about": asdict(about), "lock": {}}
            opened.pin(f"seed/debian/declared{number}/{layer[:12]}", (layer,), (), data)
        opened.pin("machine/x/tiny", (layer,), (), {"project": "/p", "machine": "tiny"})
    return tmp_path / "store"


def seeds(root: User, store: Path) -> list[dict[str, object]]:
    told = root.run("seed", "list", "--json", "--store", store, check=True)
    found: list[dict[str, object]] = json.loads(told.stdout)
    return found


def test_seeds_of_one_name_are_told_apart(root: User, store: Path) -> None:
    told = root.run("seed", "list", "--store", store, check=True).stdout
    assert told.index("declared1") < told.index("declared2") < told.index("used by tiny (/p)")
    shown = root.run("seed", "show", "debian", "--json", "--store", store, check=True).stdout
    assert json.loads(shown) == seeds(root, store)


def test_one_of_several_seeds_is_given_up_only_when_it_is_named(root: User, store: Path) -> None:
    layers = [str(each["layer"]) for each in seeds(root, store)]
    done = root.run("seed", "rm", "debian", "--store", store)
    assert (done.returncode, len(seeds(root, store))) == (2, 2)
    assert all(layer[:12] in done.stderr for layer in layers)
    root.run("seed", "rm", "debian", layers[0][:8], "--store", store, check=True)
    assert [each["layer"] for each in seeds(root, store)] == layers[1:]
    done = root.run("seed", "rm", "none", "--store", store)
    assert done.returncode == 2
    assert "use one of debian, or declare it" in done.stderr


def test_the_store_may_be_named_before_or_behind(root: User, store: Path) -> None:
    for words in (("--store", store, "store", "usage"), ("store", "usage", "--store", store)):
        assert str(store) in root.run(*words, check=True).stdout


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(root: User, store: Path, closed: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *root.command("seed", "list", "--store", store)],
        env=root.environment(None), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_a_closed_stream_is_not_taken_by_the_first_file(tmp_path: Path) -> None:
    code = (
        "import os, sys; from cloche.cli.__main__ import open_streams; open_streams()\n"
        "sys.stdin.fileno(); open(sys.argv[1] + '/n', 'w').write(str(os.open('/', os.O_RDONLY)))"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(["sh", "-c", '"$@" <&- >&-', "sh", *words], check=True)
    assert int((tmp_path / "n").read_text()) > 2


@pytest.mark.parametrize("words", [("overlay", "list"), ("overlay", "check"), ("store", "usage")])
def test_a_project_that_cannot_be_read_is_not_passed_over(
    root: User, store: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Without the project the host's own repositories, or another store, would be meant."""
    (tmp_path / "cloche.toml").write_text("[build]\njob = 1\n")
    done = root.run(*words, "--store", store, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path}/cloche.toml:2: " in done.stderr
    assert done.stderr.count("\n") == 1
