"""Wrong command lines, misspelt names, readers that go away: one line and one status each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support import User
from tests.values import stored

from cloche.cli import main as entry
from cloche.config.template import init
from cloche.records.logs import new_log
from cloche.store import Store


def said(words: Sequence[str], monkeypatch: pytest.MonkeyPatch, capsys: object) -> str:
    """The one line of a command that ends with status 2, without ``cloche: ``."""
    monkeypatch.setattr("sys.argv", ["cloche", *words])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()  # type: ignore[attr-defined]
    assert line.startswith("cloche: ")
    return str(line.removeprefix("cloche: "))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("bild", "unknown command “bild”; did you mean “build”?; see `cloche --help`"),
        (
            "seed drop",
            "unknown command “drop”; the commands are add, bootstrap, list, rm, show; "
            "see `cloche seed --help`",
        ),
        ("stroe gc", "unknown command “stroe”; did you mean “store”?; see `cloche --help`"),
        (
            "import root",
            "DIR|ssh://[USER@]HOST[:PORT] is missing; see `cloche import root --help`",
        ),
        ("build", "name a MACHINE, or give --all; see `cloche build --help`"),
        (
            "build first --jbos 2",
            "unknown option “--jbos”; did you mean “--jobs”?; see `cloche build --help`",
        ),
        (
            "build first --jobs x",
            "--jobs: “x” is not a number from 1; see `cloche build --help`",
        ),
        (
            "build first --jobs 0",
            "--jobs: “0” is not a number from 1; see `cloche build --help`",
        ),
        (
            "log a --step biuld",
            "--step: “biuld” is not one of “fetch”, “build”, “merge”; see `cloche log --help`",
        ),
        (
            "-C /nonexistent plan x",
            "--directory: directory “/nonexistent” does not exist; see `cloche --help`",
        ),
    ],
    ids=lambda value: value if " is " not in value else "",
)
def test_a_wrong_command_line_is_one_line(
    words: str, line: str, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    assert said(words.split(), monkeypatch, capsys) == line


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the machine `first`, and a store with a log of it."""
    init(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    with Store.open(tmp_path / "store") as opened:
        new_log(opened, "machine/first", "build").write_text("log\n")
        stored(opened, "debian", "seed", file="1")
    return tmp_path / "store"


@pytest.mark.parametrize(
    "words", ["plan frist", "report frist", "query list -m frist", "history frist", "log frist"]
)
def test_a_misspelt_machine_is_answered_with_the_nearest(
    words: str, project: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    options = ["-C", str(project), "--store", str(store)]
    line = said([*options, *words.split()], monkeypatch, capsys)
    assert "“frist”; did you mean “first”?" in line


def test_a_machine_that_was_never_built_is_no_misspelt_one(
    project: Path, store: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    options = ["-C", str(project), "--store", str(store)]
    for words in ("report first", "history first", "query list -m first"):
        line = said([*options, *words.split()], monkeypatch, capsys)
        assert line == "machine first: not built yet; run `cloche build first`"


@pytest.mark.parametrize(
    "words",
    [
        "store usage", "store verify", "store gc", "store recover", "seed list", "seed show x",
        "seed rm x", "repo list", "log x", "history x", "query list", "why x", "report first",
    ],
)  # fmt: skip
def test_looking_makes_no_store(
    words: str, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: object
) -> None:
    place = tmp_path / "misspelt/deep"
    options = ["-C", str(project), "--store", str(place)]
    assert said([*options, *words.split()], monkeypatch, capsys) == (
        f"{place}: store not found; name another with --store; "
        "`cloche seed bootstrap` or `build` makes one"
    )
    assert not place.parent.exists()


@pytest.mark.real
@pytest.mark.parametrize("words", [("store", "usage"), ("seed", "list", "--json"), ("--help",)])
def test_a_reader_that_goes_away_ends_every_command_as_sigpipe_does(
    root: User, store: Path, words: tuple[str, ...]
) -> None:
    command = root.command("--store", store, *words)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command, env=root.environment(None), stdout=writer, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.real
def test_a_full_standard_output_is_not_the_stores_trouble(root: User, store: Path) -> None:
    command = root.command("--store", store, "store", "usage")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, env=root.environment(None), stdout=full, stderr=subprocess.PIPE, text=True,
            check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == (
        "cloche: standard output cannot be written: No space left on device; "
        "free some space there, or write it elsewhere\n"
    )
