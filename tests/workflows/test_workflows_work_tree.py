"""Work trees of untrusted sources: nothing leads out of them, and git executes nothing of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import msgspec
import pytest

from cloche.errors import ClocheError
from cloche.workflows.work_tree import (
    Brought,
    Note,
    Pending,
    WorkTree,
    clear,
    find_among,
    make_place,
)


@pytest.fixture
def tree(tmp_path: Path) -> WorkTree:
    """A work tree of sources that mean no good."""
    source = tmp_path / "source"
    (source / "sub/.git/hooks").mkdir(parents=True)
    (source / "sub/.git/config").write_text(f"[core]\n\tfsmonitor = touch {tmp_path}/run\n")
    (source / ".GIT").write_text(f"gitdir: {tmp_path}/elsewhere\n")
    (source / ".gitattributes").write_text("* filter=evil diff=evil ident eol=crlf\n")
    (source / ".gitmodules").write_text('[submodule "x"]\n\tpath = sub\n\turl = ext::sh\n')
    (source / ".gitignore").write_text("*\n")
    (source / "a.c").write_bytes(b"one\r\n$Id$\n")
    (source / "out").symlink_to("/etc/passwd")
    (source / "new\nline").write_text("x\n")
    (source / "closed").mkdir()
    (source / "closed/f").write_text("x\n")
    (source / "closed").chmod(0o500)
    (source / "a.c").chmod(0o4755)
    os.mkfifo(source / "fifo")
    made = WorkTree(tmp_path / "work/c/p-1")
    made.path.mkdir(parents=True)
    content = made.fill(source)
    base = made.git.commit(content, "base\n", None)
    made.write(Note("c/p-1", "r", "m", "p-1", base, base, {}))
    return made


def test_everything_is_taken_as_plain_files(tree: WorkTree, tmp_path: Path) -> None:
    words = tree.git("ls-tree", "-r", "-z", "--name-only", "HEAD").split(b"\0")[:-1]
    kept = [b".gitattributes", b".gitignore", b".gitmodules", b"a.c", b"closed/f", b"new\nline"]
    assert words == [*kept, b"out"]
    assert (tree.path / "a.c").stat().st_mode & 0o7777 == 0o755
    assert (tree.path / "closed").stat().st_mode & 0o7777 == 0o755
    assert tree.content(tree.git("rev-parse", "HEAD:a.c").decode().strip()) == b"one\r\n$Id$\n"
    assert not (tmp_path / "run").exists()


def test_differences_are_exact_whatever_attributes_say(tree: WorkTree) -> None:
    note = tree.note()
    assert tree.tree() == tree.git("rev-parse", f"{note.tip}^{{tree}}").decode().strip()
    (tree.path / "a.c").write_bytes(b"two\r\n$Id$\n")
    (tree.path / "a.c~").write_text("left by an editor")
    (tree.path / "new").write_text("ignored by .gitignore\n")
    diff = tree.diff(note.tip, tree.tree())
    assert b"-one\r\n+two\r\n $Id$\n" in diff
    assert b"+++ b/new\n" in diff
    assert b"a.c~" not in diff
    tree.restore(note.tip)
    assert (tree.path / "a.c").read_bytes() == b"one\r\n$Id$\n"
    assert not (tree.path / "new").exists()
    assert (tree.path / "a.c~").exists()


def test_what_the_user_commits_is_part_of_the_difference(tree: WorkTree) -> None:
    note = tree.note()
    (tree.path / "a.c").write_text("mine\n")
    tree.git("add", "--force", "a.c")
    tree.git("commit", "--quiet", "-m", "mine")
    assert b"+mine" in tree.diff(note.tip, tree.tree())


def test_a_tree_without_its_note_or_commits_is_refused(tree: WorkTree) -> None:
    note = tree.note()
    tree.write(Note(note.cpv, note.repo, note.machine, "p-1", note.base, "0" * 40, {}))
    with pytest.raises(ClocheError, match="lost the commits"):
        tree.note()
    tree.write(Note("c/p-2", note.repo, note.machine, "p-2", note.base, note.tip, {}))
    with pytest.raises(ClocheError, match="it was made of c/p-2"):
        tree.note()
    (tree.git.repository / "cloche.json").write_text("{}")
    with pytest.raises(ClocheError, match="is not a work tree"):
        tree.note()


PENDING, BROUGHT = (Pending("a", "a"),), (Brought("a", "a", "fits", "0" * 40),)


@pytest.mark.parametrize(
    ("pending", "brought"), [(PENDING, ()), (PENDING, BROUGHT), ((), BROUGHT)], ids=str
)
def test_a_rebase_that_has_not_ended_is_only_removed_by_force(
    tree: WorkTree, pending: tuple[Pending, ...], brought: tuple[Brought, ...]
) -> None:
    note = tree.note()
    tree.write(msgspec.structs.replace(note, pending=pending, brought=brought, untried=True))
    with pytest.raises(ClocheError, match=r"a rebase that has not ended; `cloche patch save`"):
        clear(tree, force=False)
    assert (tree.path / "a.c").exists()
    clear(tree, force=True)
    assert not tree.path.exists()


def test_a_work_tree_without_a_change_is_removed(tree: WorkTree) -> None:
    clear(tree, force=False)
    assert not tree.path.exists()


def test_work_trees_are_found_by_name_place_or_because_there_is_one(tmp_path: Path) -> None:
    one, two, other = (
        WorkTree(tmp_path / f"work/{name}") for name in ("c/p-1", "c/p-2-r1", "d/q-x-3")
    )
    everything = (one, two, other)
    assert find_among(everything, "=c/p-1", tmp_path) == one
    assert find_among(everything, "c/p-2-r1", tmp_path) == two
    assert find_among(everything, "q-x", tmp_path) == other
    assert find_among(everything, None, two.path / "src") == two
    assert find_among((one,), None, tmp_path) == one
    for atom, words in (
        ("p", "there are 2 work trees of p; name one of =c/p-1, =c/p-2-r1"),
        ("q", "there is no work tree of q"),
        (None, "there are 3 work trees"),
    ):
        with pytest.raises(ClocheError) as refused:
            find_among(everything, atom, tmp_path)
        assert words in str(refused.value)
    with pytest.raises(ClocheError, match="there is no work tree"):
        find_among((), None, tmp_path)


def test_the_projects_own_git_ignores_work_trees(tmp_path: Path) -> None:
    """Also in a project that `cloche init` did not make, and what its owner wrote there stays."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    tree = WorkTree(tmp_path / "work/c/p-1")
    make_place(tree)
    (tree.path / "a.c").write_text("x\n")
    listed = ["git", "-C", str(tmp_path), "status", "--porcelain", "--untracked-files=all"]
    assert subprocess.run(listed, capture_output=True, check=True).stdout == b""
    (tmp_path / "work/.gitignore").write_text("*\n!README\n")
    make_place(tree)
    assert (tmp_path / "work/.gitignore").read_text() == "*\n!README\n"
