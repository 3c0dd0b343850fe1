"""Bad input: one clear line with what, where and what to do; status 2; nothing lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.faults.looking import machine, said
from tests.support import Store

pytestmark = pytest.mark.real

Faulty = tuple[Store, Path]

# machine → words of the last line, words of Portage's own above it.
REFUSED = {
    "typo": (["typo.toml:2", "unknown key “profil”", "did you mean “profile”"], []),
    "unknown-set": (["unknown-set.toml:3", "no set is called “editors”"], []),
    "unknown-package": (
        ["unknown-package.toml:", "no package matches good/plian", "correct the atom"],
        ["Maybe you meant any of these: good/plain"],
    ),
    "unknown-in-set": (
        ["/sets/typing:3: no package matches good/plian", "correct the atom"],
        ['required by "@typing" [argument]'],
    ),
    "unknown-flag": (
        ["unknown-flag.toml:", "correct the atom: its ebuild has no USE flag shout"],
        ["(Missing IUSE: shout)"],
    ),
    "unsatisfied": (
        ["a dependency cannot be satisfied: no-such/thing"],
        ['required by "bad/unsatisfied-1::faults"'],
    ),
    "needs-testing": (
        [
            "masked: bad/testing",
            "add `=bad/testing-1 ~amd64` to a fragment's package.accept_keywords",
        ],
        ["bad/testing-1::faults (masked by: ~amd64 keyword)"],
    ),
    "forbidden": (
        [
            "masked: bad/forbidden",
            "add `=bad/forbidden-1` to a fragment's package.unmask (",
            "/repo/profiles/package.mask:",
        ],
        ["(masked by: package.mask)", "There is no good in it."],
    ),
    "needs-loud": (
        ["USE flags do not match: >=good/tiny-1", "package.use"],
        [">=good/tiny-1 loud", "required by bad/needs-loud-1"],
    ),
    "both": (["USE flags do not match: bad/both"], ["exactly-one-of ( left right )"]),
    "circle-one": (
        ["circular build dependencies", "disable a USE flag"],
        ["bad/circle-one-1", "bad/circle-two-1", "(buildtime)"],
    ),
    "blocks": (
        ["blocks.toml:3: packages conflict: bad/blocks-1 blocks good/tiny", "has one of the two"],
        ["hard blocking bad/blocks-1"],
    ),
    "garbled": (
        ["/repo/bad/garbled/garbled-1.ebuild:16: the ebuild cannot be read: syntax error near"],
        [],
    ),
    "future": (["masked: bad/future", "the seed's Portage does not know EAPI 99"], []),
    "nosuch": (["no machine is called “nosuch”", "there is: "], []),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_resolved_is_said_in_one_line(faulty: Faulty, name: str) -> None:
    store, project = faulty
    last, above = REFUSED[name]
    for command in ("plan", "build") if name == "blocks" else ("build",):
        done = store.cloche(command, name, cwd=project)
        line = said(done, 2)
        assert all(words in line for words in last), line
        assert all(words in done.stderr for words in above), done.stderr
        assert "\x1b" not in done.stderr
        assert done.stdout == ""
        assert "emerge man page" not in done.stderr
        assert "report this as a bug" not in done.stderr
        # Of REQUIRED_USE Portage proposes nothing.
        assert not (name == "both" and "--autounmask-write" in done.stderr)


def test_a_machine_without_seed_or_project_says_how_to_get_one(
    faulty: Faulty, tmp_path: Path
) -> None:
    store, project = faulty
    line = said(store.user.run("--store", project / "empty", "build", "fine", cwd=project), 2)
    assert "the seed “debian” is not in the store yet; run `cloche seed bootstrap debian`" in line
    line = said(store.cloche("build", "fine", cwd=Path("/")), 2)
    assert "no cloche.toml here or in a directory above" in line
    assert "cloche init" in line


def test_a_store_of_a_newer_cloche_is_left_alone(faulty: Faulty) -> None:
    store, project = faulty
    newer = project / "newer"
    newer.mkdir()
    (newer / "version").write_text("99\n")
    store.user.own(newer)
    for command in (["build", "fine"], ["store", "gc"], ["log", "tiny"]):
        line = said(store.user.run("--store", newer, *command, cwd=project), 2)
        assert "format 99, this cloche knows up to 1; use a newer cloche" in line
        assert str(newer) in line
    assert (newer / "version").read_text() == "99\n"
    made = {path.name for path in newer.rglob("*") if path.is_file()}
    assert made <= {"version", "lock", "setup"}


def test_a_directory_that_is_no_store_is_left_alone(faulty: Faulty) -> None:
    store, project = faulty
    line = said(store.user.run("--store", project / "repo", "build", "fine", cwd=project), 2)
    assert "this is not a store of cloche" in line
    assert not (project / "repo" / "layers").exists()


def test_a_store_that_cannot_be_written_is_one_line(faulty: Faulty) -> None:
    store, project = faulty
    line = said(store.user.run("--store", "/proc/store", "build", "fine", cwd=project), 3)
    assert "/proc/store: the store cannot be written: " in line
    assert "--store" in line
    locked = project / "locked"
    locked.mkdir(mode=0o500)
    shutil.chown(locked, store.user.name)
    line = said(store.user.run("--store", locked / "store", "build", "fine", cwd=project), 3)
    assert "Permission denied; name one of your own with --store" in line
    assert str(locked) in line


def test_a_broken_toml_file_names_its_line(faulty: Faulty) -> None:
    store, project = faulty
    name = machine(project, "broken", "good/plain", more="\n[limits\n")
    line = said(store.cloche("plan", name, cwd=project), 2)
    assert "broken.toml:5" in line


@pytest.mark.parametrize(
    "arguments",
    [["bluid", "fine"], ["build"], ["build", "fine", "--jobs", "0"], ["build", "fine", "--nope"]],
    ids=" ".join,
)
def test_a_wrong_command_line_is_bad_input(faulty: Faulty, arguments: list[str]) -> None:
    store, project = faulty
    assert said(store.cloche(*arguments, cwd=project), 2)
