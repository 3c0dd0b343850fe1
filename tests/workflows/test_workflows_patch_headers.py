"""The header of a patch, and its name."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cloche.errors import ClocheError
from cloche.portage.cpv import split_cpv
from cloche.workflows import patch_names
from cloche.workflows.patch_headers import Header, subject_of


def test_a_header_says_what_why_and_where() -> None:
    header = Header("Fix it", "It is " + "very " * 20 + "broken.\n\nStill.", "https://h.org/1")
    text = header.text().decode()
    assert text.startswith("Subject: Fix it\nUpstream: https://h.org/1\n\nIt is very")
    assert max(map(len, text.splitlines())) <= 72
    assert text.endswith("\n\nStill.\n\n")
    assert subject_of(text.encode() + b"--- a/f\n+++ b/f\n") == "Fix it"
    assert "Upstream: not sent yet" in Header("Fix it", "so").text().decode()
    assert subject_of(b"\nThe workbench's own.\n\n--- a/f\n") == "The workbench's own."


@pytest.mark.parametrize(
    ("subject", "why", "upstream", "words"),
    [
        ("two\nlines", "w", "", "--subject: the subject is not one line"),
        (" ", "w", "", "--subject: the subject is not one line"),
        ("s", " ", "", "--why: the reason is missing"),
        ("s", "see\n--- a/f", "", "--why: patch(1) would not take"),
        ("s", "12,13c15", "", "--why: patch(1) would not take"),
        ("s", "w", "bug 12", "--upstream: “bug 12” is not an address"),
        ("s", "w", "file:///x", "--upstream: “file:///x” is not an address"),
    ],
)
def test_bad_headers_are_refused(subject: str, why: str, upstream: str, words: str) -> None:
    with pytest.raises(ClocheError) as refused:
        Header(subject, why, upstream)
    assert str(refused.value).startswith(words)


def test_breaking_lines_makes_no_diff_of_text(tmp_path: Path) -> None:
    why = "Lines " * 12 + "Index: the word begins a diff where it begins a line"
    patch = Header("s", why).text() + b"--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"
    (tmp_path / "f").write_text("a\n")
    subprocess.run(["patch", "-p1", "-f"], cwd=tmp_path, input=patch, check=True)
    assert (tmp_path / "f").read_text() == "b\n"


def test_a_name_has_the_next_number_and_the_words_of_the_subject() -> None:
    assert patch_names.next_name("Fix the Build: musl!", ()) == "0001-fix-the-build-musl.patch"
    there = ("0001-a.patch", "0007-b.patch", "other.patch")
    assert patch_names.next_name("é", there) == "0008-change.patch"
    assert patch_names.next_name("x", there, name="mine.patch") == "0008-mine.patch"
    assert len(patch_names.next_name("word " * 40, ())) <= len("0001-.patch") + 40
    with pytest.raises(ClocheError, match="is not a name for a patch"):
        patch_names.next_name("x", (), name="../up")


def test_places_are_those_of_portage() -> None:
    cpv = split_cpv("app-misc/jq-1.6-r2")
    assert patch_names.place(cpv, this_version=False) == "patches/app-misc/jq"
    assert patch_names.place(cpv, this_version=True) == "patches/app-misc/jq-1.6"


def test_the_advice_knows_the_order_of_names() -> None:
    said = patch_names.advice("c/a-1", ["0001-x.patch"], ["greeting.patch", "0000-a.patch"])
    assert said == "0001-x.patch would come before greeting.patch: rename that one to " + (
        "0001-greeting.patch"
    )
    assert "begins again" in patch_names.advice("c/a-1", ["0002-x.patch"], ["0001-a.patch"])
