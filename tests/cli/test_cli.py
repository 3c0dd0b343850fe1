"""The command line, as far as it needs no namespace."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from click.testing import CliRunner

from cloche.cli import main as entry
from cloche.cli.main import cli
from cloche.cli.plan import _warnings
from cloche.config.complaints import Complaint
from cloche.config.errors import Origin
from cloche.errors import ClocheError, Exit


def commands(
    group: click.Command = cli, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, group
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from commands(command, (*words, name))


EVERY = dict(commands())


@pytest.mark.parametrize("words", EVERY, ids=lambda words: " ".join(words) or "cloche")
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*words, "--help"])
    assert done.exit_code == 0, done.output
    assert EVERY[words].help
    assert all(
        parameter.help for parameter in EVERY[words].params if isinstance(parameter, click.Option)
    ), [p.name for p in EVERY[words].params]
    example = done.output.partition("Example")[2]
    assert f"cloche {' '.join(words)}".strip() in example, done.output
    assert "--store" in done.output or isinstance(EVERY[words], click.Group)


def test_a_command_loads_no_other_one() -> None:
    code = (
        "import sys; from cloche.cli.main import COMMANDS, cli;"
        "cli.main(['init', '--help'], standalone_mode=False);"
        "modules = {'cloche.cli.' + place.partition(':')[0] for place in COMMANDS.values()};"
        "print(*sorted(modules & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "cloche.cli.init"


def test_a_warning_about_a_file_whose_name_is_not_utf8_is_json() -> None:
    complaint = Complaint(Origin(Path("/caf\udce9/a"), 3), "no flag in caf\udce9")
    data = msgspec.json.decode(msgspec.json.encode(_warnings((complaint,))))
    assert data == [{"file": "/caf?/a", "line": 3, "text": "no flag in caf?"}]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0
    assert "_CLOCHE_COMPLETE" in done.output


def test_names_are_completed(monkeypatch, tmp_path) -> None:
    CliRunner().invoke(cli, ["init", str(tmp_path / "p")], catch_exceptions=False)
    monkeypatch.chdir(tmp_path / "p")
    for line, expected in (
        ("cloche build fi", "first"),
        ("cloche seed bootstrap d", "debian"),
        ("cloche engines nat", "native"),
        ("cloche build --engine bw", "bwrap"),
    ):
        environment = {
            "_CLOCHE_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split()) - 1),
        }
        done = CliRunner().invoke(cli, [], prog_name="cloche", env=environment)
        assert expected in done.output
    monkeypatch.chdir("/")
    done = CliRunner().invoke(cli, [], prog_name="cloche", env=environment)
    assert "Error" not in done.output


ERRORS = {
    "known": (
        ClocheError(
            "what\nis\x1b[31m wrong",
            where="here",
            todo="do this",
            detail="first\x07\nsecond",
            status=Exit.HOST,
        ),
        3,
        ["first\\x07", "second", r"cloche: here: what\nis\x1b[31m wrong; do this"],
    ),
    "system": (
        PermissionError(13, "Permission denied", b"/some/file"),
        3,
        ["cloche: /some/file: Permission denied; check its owner; "
         "a store belongs to a single user"],
    ),
    "full": (
        OSError(28, "No space left on device", "/f"),
        3,
        ["cloche: /f: No space left on device; free some space, or `cloche store gc`, "
         "or use another --store"],
    ),
    "sqlite": (sqlite3.OperationalError("it is locked"), 3, ["cloche: it is locked"]),
    "interrupt": (
        KeyboardInterrupt(),
        130,
        ["cloche: interrupted; finished work is kept, the next run continues"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_one_line_and_a_status(name: str, monkeypatch, capsys) -> None:
    error, status, lines = ERRORS[name]

    def raise_it(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "main", raise_it)
    monkeypatch.setattr(entry.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == status
    assert capsys.readouterr().err.splitlines() == lines


def test_a_bug_says_how_to_report_it(monkeypatch, capsys) -> None:
    def fail(**_: object) -> None:
        raise TypeError("odd")

    monkeypatch.setattr(cli, "main", fail)
    for debug in (False, True):
        if debug:
            monkeypatch.setenv("CLOCHE_DEBUG", "1")
        with pytest.raises(SystemExit) as ended:
            entry.main()
        said = capsys.readouterr().err
        assert ended.value.code == 1
        assert "a bug in cloche: TypeError: odd; run it again with CLOCHE_DEBUG=1" in said
        assert ("Traceback" in said) is debug


LOADING = """
import os, signal, sys
class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000): pass
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "cloche.cli.main":
            Last()
from cloche.cli.__main__ import run
sys.meta_path.insert(0, Finder())
sys.argv = ["cloche", "--version"]
run()
"""


def test_an_interrupt_while_loading_is_one_line() -> None:
    """Wherever it comes: what Python raises in a finaliser, it prints and forgets."""
    words = [sys.executable, "-c", LOADING]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "cloche: interrupted\n")


def test_version() -> None:
    assert CliRunner().invoke(cli, ["--version"]).output.startswith("cloche, version ")


def test_a_new_ebuild_says_what_its_licence_lacks(tmp_path):
    place = tmp_path / "p"
    CliRunner().invoke(cli, ["init", str(place)], catch_exceptions=False)
    for licence, said in (("MIT", True), ("GPL-2+", False)):
        words = [
            "-C",
            str(place),
            "ebuild",
            "new",
            f"app-misc/{licence[:3]}-1",
            "--license",
            licence,
        ]
        told = CliRunner().invoke(cli, words, catch_exceptions=False).output
        assert (f"next: LICENSE is {licence}: put its text into {place}/repo/" in told) is said


def test_every_path_begins_where_cloche_is_told_to_run(tmp_path, monkeypatch):
    for name in ("elsewhere", "place"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    place = tmp_path / "place"
    (place / "catalyst.conf").write_text('storedir = "/here"\n')
    keys = {"target": "stage3", "subarch": "amd64", "rel_type": "r", "version_stamp": "1"}
    keys |= dict.fromkeys(("profile", "snapshot_treeish", "source_subpath"), "x")
    (place / "a.spec").write_text("".join(f"{key}: {text}\n" for key, text in keys.items()))

    def run(*words):
        return CliRunner().invoke(cli, ["-C", "../place", *words])

    planned = run("catalyst", "plan", "a.spec", "-c", "catalyst.conf").output
    assert "/here/builds/r/stage3-amd64-1" in planned
    assert run("init", "new").exit_code == 0
    assert (place / "new/cloche.toml").exists()
    refused = run("--store", "s", "store", "usage").exception
    assert str(refused).startswith(f"{place}/s: store not found")
    assert run("catalyst", "plan", "b.spec").exit_code == 2
    assert Path.cwd() == tmp_path / "elsewhere"
