"""`cloche releng`: errors before a run starts; staging and pruning by the command line."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from cloche.records.events import Done
from cloche.releng.journal import Entry, Journal, RunStarted, SpecEnded, encode_entry

Cloche = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cloche(run_cloche: Cloche) -> Cloche:
    """Run `cloche releng`."""
    return partial(run_cloche, "releng")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration with one spec, and the snapshot of its tree."""
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs/a.spec").write_text("target: stage1\n")
    (tmp_path / "auto.conf").write_text(f"SPECS_DIR={tmp_path}/specs\nSPECS=a.spec\n")
    (tmp_path / "catalyst.conf").write_text(f'storedir = "{tmp_path}/store"\nrepo_name = "r"\n')
    (tmp_path / "store/snapshots").mkdir(parents=True)
    (tmp_path / "store/snapshots/r-abc.sqfs").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_wrong_spec_is_refused_before_the_run_starts(place: Path, cloche: Cloche) -> None:
    status, _, err = cloche("run", "auto.conf", "-c", "catalyst.conf", "--treeish", "abc")
    assert status == 2
    assert f"{place}/specs/a.spec" in err
    assert "is missing" in err
    assert not (place / "store/cloche/releng/auto").exists() or not list(
        (place / "store/cloche/releng/auto").glob("*/run.jsonl")
    )


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("-c", "catalyst.conf", "--treeish", "abc", "--only", "b"), "not a spec or a set"),
        (("-c", "catalyst.conf", "--treeish", "no"), "git repository not found"),
        (("-c", "catalyst.conf", "--set", "X"), "not TOKEN=VALUE"),
        (("-c", "catalyst.conf", "--treeish", "abc", "--set", "TIMESTAMP=.."), "not a time stamp"),
        (("-c", "catalyst.conf", "--treeish", "abc", "--set", "TIMESTAMP=a b"), "not a time"),
        (("--treeish", "abc"), "name catalyst.conf with -c"),
    ],
)
def test_an_error_is_one_line(
    place: Path, cloche: Cloche, words: tuple[str, ...], what: str
) -> None:
    with (place / "auto.conf").open("a") as file:
        file.write(f"CATALYST_CONFIG={place}/none\n")
    status, out, err = cloche("run", "auto.conf", *words)
    assert (status, out) == (2, "")
    assert what in err
    assert err.count("\n") == 1


def test_the_status_of_a_missing_run_is_an_error(place: Path, cloche: Cloche) -> None:
    status, _, err = cloche("status", "auto.conf", "-c", "catalyst.conf", "--treeish", "abc")
    assert status == 2
    assert "no such run" in err
    for command in ("status", "report"):
        status, _, err = cloche(command, "auto.conf", "-c", "catalyst.conf")
        assert status == 2
        assert "no such run" in err


def test_a_log_cannot_steer_the_terminal_that_shows_the_status(place: Path, cloche: Cloche) -> None:
    room = place / "store/cloche/releng/auto/20260101T000000Z"
    room.mkdir(parents=True)
    begun = RunStarted(
        name="auto", timestamp=room.name, datestamp="20260101", treeish="abc", specs=("a.spec",)
    )
    failed = Done(package="a/x-1::r", how="failed", reason="it broke", lines=("\x1b]0;mine\x07",))
    journal = Journal(room / "run.jsonl")
    for spec, event in (("", begun), ("a.spec", failed)):
        journal(Entry(spec, event))
    journal(Entry("a.spec", SpecEnded(how="failed", digest="d", reason="1 package failed")))
    journal.close()
    status, out, _ = cloche("status", "auto.conf", "-c", "catalyst.conf")
    assert status == 0
    assert "    \\x1b]0;mine\\x07\n" in out
    assert out.isascii()
    assert "\x1b" not in out


def test_without_network_only_a_mail_that_is_asked_for_is_sent(place: Path, cloche: Cloche) -> None:
    with (place / "auto.conf").open("a") as file:
        file.write("EMAIL_TO=list@example.org\n")
    words = ("run", "auto.conf", "-c", "catalyst.conf", "--treeish", "abc", "--smtp", "x:port")
    for more, what in (
        ((), "is not HOST or HOST:PORT"),
        (("-X", "--mail-to", "me@example.org"), "is not HOST or HOST:PORT"),
        (("-X",), "is missing"),  # of the spec
    ):
        status, _, err = cloche(*words, *more)
        assert status == 2
        assert what in err


def test_the_last_run_is_the_one_that_was_begun_last(place: Path, cloche: Cloche) -> None:
    for number, stamp in enumerate(("20260101T000000Z", "20250101T000000Z"), 1):
        room = place / "store/cloche/releng/auto" / stamp
        room.mkdir(parents=True)
        begun = RunStarted(name="auto", timestamp=stamp, datestamp="1", treeish="abc", specs=())
        (room / "run.jsonl").write_bytes(encode_entry(Entry("", begun)) + b"\n")
        os.utime(room / "run.jsonl", (number, number))
    status, out, _ = cloche("status", "auto.conf", "-c", "catalyst.conf")
    assert status == 0
    assert out.startswith("auto 20250101T000000Z, tree abc\n")


def test_the_order_says_why_an_optional_spec_is_refused(place: Path, cloche: Cloche) -> None:
    (place / "auto.conf").write_text(f"SPECS_DIR={place}/specs\nOPTIONAL_SPECS='a.spec b.spec'\n")
    (place / "specs/b.spec").write_text(SPEC.format(name="b") + "portage_confdir: /none\n")
    (place / "store/builds/r").mkdir(parents=True)
    (place / "store/builds/r/seed.tar").touch()
    call = ("run", "auto.conf", "-c", "catalyst.conf", "--treeish", "abc", "-n")
    status, out, _ = cloche(*call)
    assert status == 0
    wrong, absent = out.splitlines()
    assert wrong.startswith(f"a.spec  refused, optional: {place}/specs/a.spec: ")
    assert absent.startswith(f"b.spec  refused, optional: {place}/specs/b.spec:8: portage_confdir:")


SPEC = """\
target: stage1
subarch: amd64
rel_type: r
version_stamp: {name}
snapshot_treeish: abc
profile: default
source_subpath: r/seed
"""


def test_a_preview_goes_on_after_a_spec_that_cannot_be_resolved(
    place: Path, cloche: Cloche
) -> None:
    for name in ("a", "b"):
        (place / f"specs/{name}.spec").write_text(SPEC.format(name=name))
    (place / "store/builds/r").mkdir(parents=True)
    (place / "store/builds/r/seed.tar").touch()
    call = ("run", "auto.conf", "-c", "catalyst.conf", "--store", str(place / "own"))
    options = ("--treeish", "abc", "-n", "--packages")
    for conf, expected in (("SPECS='a.spec b.spec'", 1), ("OPTIONAL_SPECS='a.spec b.spec'", 0)):
        (place / "auto.conf").write_text(f"SPECS_DIR={place}/specs\n{conf}\n")
        status, out, err = cloche(*call, *options)
        assert status == expected
        assert [line.split()[0] for line in out.splitlines()] == ["a.spec", "b.spec"]
        assert [line.split()[0] for line in err.splitlines()] == ["a.spec:", "b.spec:"]


def test_staging_and_pruning_have_a_dry_run(place: Path, cloche: Cloche) -> None:
    builds, mirror = place / "builds", place / "mirror"
    builds.mkdir()
    dates = [f"2026010{day}" for day in range(1, 8)]
    for date in dates:
        (builds / f"stage3-a-{date}.tar.xz").touch()
    out = cloche("stage", "builds", "mirror", "--dry-run")[1]
    assert len(out.splitlines()) == 7
    assert not mirror.exists()
    assert cloche("stage", "builds", "mirror")[0] == 0
    assert (mirror / "latest-stage3-a.txt").exists()
    would = cloche("prune", "mirror")[1]
    assert would.count("would be removed") == 2
    assert [line.split()[0] for line in would.splitlines()] == [
        str(mirror / date) for date in ("20260102", "20260101")
    ]
    assert (mirror / "20260101").exists()
    assert "removed" in cloche("prune", "mirror", "--yes")[1]
    assert not (mirror / "20260101").exists()
