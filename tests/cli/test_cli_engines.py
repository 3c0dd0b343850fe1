"""`cloche engines`: which ones are there, and tables of what the battery found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support import User

from cloche.display import engines as shown
from cloche.engines.choice import DEFAULT, NAMES
from cloche.probing.availability import Availability
from cloche.probing.battery import QUESTIONS, Answer, Costs, Probed
from cloche.sandbox.base import Nature

GOOD = Probed(
    "native",
    tuple(
        Answer(each.id, each.said(each.kind == "works"), f"about {each.id}") for each in QUESTIONS
    ),
    Costs(0.005, 50e-6, 800e-6),
)
BAD = Probed("other", (Answer("sys", "shows", "a\x1b[1mb"),), Costs(1.5, 75e-6, 400e-6))
FAILED = Probed("third", error="making a sandbox by third: no")


def line(table: str, start: str) -> list[str]:
    (found,) = (text for text in table.splitlines() if text.startswith(start))
    return found.removeprefix(start).split()


def test_engines_stand_side_by_side() -> None:
    table = shown.table([GOOD, BAD, FAILED])
    assert line(table, "/sys ") == ["-", "shows"]
    assert line(table, "setuid programs") == ["works"]
    assert line(table, "a start, to the end of `true`") == ["5.00", "ms", "1.50", "s"]
    assert line(table, "a small file: made, looked at, removed") == ["50.0", "µs", "75.0", "µs"]
    assert table.count("as a multiple of native") == 3
    assert "1.00     1.50" in table
    assert table.endswith("third: making a sandbox by third: no")


def test_an_engine_alone_is_compared_with_nothing() -> None:
    assert "multiple" not in shown.table([GOOD])
    assert "multiple" not in shown.table([BAD, FAILED])


def test_the_document_has_one_row_a_question() -> None:
    document = shown.markdown([GOOD, BAD])
    assert document.startswith("|  | `native` | `other` |\n| --- | --- | --- |\n")
    assert "| /sys | - | shows |" in document
    assert len(document.splitlines()) == 2 + 3 + len(QUESTIONS) + 6


def test_what_an_answer_rests_on_cannot_steer_a_terminal() -> None:
    assert "other: sys: shows (a\\x1b[1mb)" in shown.details([BAD])


def test_the_list_says_why_one_is_not_there_and_what_to_do() -> None:
    vm = Nature("a machine", ("files", "kernel"), shares_kernel=False)
    told = shown.listing(
        [
            Availability("native", Nature("our own", ("files",))),
            Availability("vm", vm, "looking for vm: it is not installed", "install vm"),
        ]
    )
    assert told.splitlines() == [
        "native  yes  our own, the default",
        "             keeps out: files",
        "vm      no   a machine",
        "             keeps out: files, kernel; own kernel",
        "             not available: looking for vm: it is not installed; install vm",
    ]


@pytest.mark.real
def test_every_engine_is_listed(root: User, tmp_path: Path) -> None:
    words = ("engines", "--store", tmp_path / "store")
    told = json.loads(root.run(*words, "--json", check=True).stdout)
    assert [each["name"] for each in told] == list(NAMES)
    native = told[0]
    assert native["name"] == DEFAULT
    assert native["there"]
    assert native["shares_kernel"]
    assert all(each["reason"] for each in told if not each["there"])
    listed = root.run(*words, check=True).stdout
    assert listed.startswith("native")
    assert listed.count(" yes ") == sum(each["there"] for each in told)


@pytest.mark.real
def test_what_cannot_be_probed_is_told(root: User, tmp_path: Path) -> None:
    words = ("engines", "--probe", "--store", tmp_path / "store")
    done = root.run(*words, "nothing")
    assert done.returncode == 2
    assert "unknown engine “nothing”; use one of native, " in done.stderr
    done = root.run(*words, "native", "--root", tmp_path)
    assert done.returncode == 3
    assert "has no /usr/bin/python3" in done.stderr
    assert "Traceback" not in done.stderr
