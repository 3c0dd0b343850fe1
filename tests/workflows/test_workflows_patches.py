"""`cloche patch`, from a package's source to a patch that a machine is built with."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import patching
import pytest
from tests.support import Store, cannot
from tests.terminal import Tmux

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def place(root_seeded: Store) -> Path:
    """The project, for tests that leave it as it was."""
    return patching.talking(root_seeded)


@pytest.fixture(scope="module")
def store(root_seeded: Store, ground: Path) -> Store:
    """A store of this module's own."""
    (ground / "patches").mkdir()
    return root_seeded.copy(ground / "patches/store")


@pytest.fixture
def window(seeded: Store, fresh: Callable[[Store], Store], tmp_path: Path) -> Iterator[Any]:
    """A shell in a project, in tmux: as root and as an ordinary user."""
    if shutil.which("tmux") is None:
        cannot("tmux is not installed")
    own = fresh(seeded)
    place = patching.talking(own)
    user = own.user
    words = user.command("--store", own.path)
    start = tmp_path / "start"
    start.write_text(f'cloche() {{ {shlex.join(words)} "$@"; }}\nPS1="ready> "\n')
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    variables = [f"{k}={v}" for k, v in user.environment({"LC_ALL": "C.UTF-8"}).items()]
    shell = ["env", *variables, "bash", "--rcfile", str(start), "-i"]
    tmux = Tmux(str(tmp_path / "socket"), 150, 40, shlex.join(shell))
    yield tmux, own, place
    tmux.close()


def typed(tmux: Tmux, line: str, *words: str, without: str = "\0") -> str:
    tmux.keys(f"clear; {line}", "Enter")
    return tmux.wait(*words, without=without, seconds=90)


def test_a_patch_is_made_tried_saved_and_built_with(window: Any) -> None:
    tmux, own, place = window
    tree = place / "work/tiny/say-1"
    tmux.wait("ready>")
    typed(tmux, f"cd {place}; cloche patch prep say", "0 saved patches applied", "ready>")
    assert patching.history(tree) == ["tiny/say-1 as user patches find it"]
    assert "@VERSION@" in (tree / "version.h").read_text()  # what comes after is not done
    assert (tree / "sub/data").read_text() == "data\n"
    assert not (tree / "sub/.git").exists()

    typed(tmux, f"cd {tree}; sed -i s/world/glass/ say.c; cloche patch try", "from the start", "re")
    typed(tmux, "sed -i 's/%s/%s!/' say.c; cloche patch try --test", "from the last try")

    tmux.keys("clear; cloche patch save", "Enter")
    tmux.wait("What does it do")
    tmux.keys("Shout through glass", "Enter")
    tmux.wait("Why is it needed")
    tmux.keys("Glass is thick.", "Enter")
    tmux.wait("Where does upstream know of it")
    tmux.keys("https://example.org/1", "Enter")
    tmux.wait("it applies to tiny/say-1")
    (file,) = (place / "patches/tiny/say").iterdir()
    assert file.name == "0001-shout-through-glass.patch"
    head = "Subject: Shout through glass\nUpstream: https://example.org/1\n\nGlass is thick.\n\n"
    text = file.read_text()
    assert text.startswith(f"{head}--- a/say.c\n+++ b/say.c\n@@ -1,12 +1,12 @@\n")
    assert "index" not in text
    assert file.stat().st_uid == place.stat().st_uid
    typed(tmux, f"cd {place}; cloche patch prep say", "1 saved patch applied")
    assert patching.history(tree)[0] == "Shout through glass"
    assert 'printf("hello, %s!"' in (tree / "say.c").read_text()
    assert (tree / "say.c").stat().st_uid == place.stat().st_uid

    own.cloche("build", "tiny", "--package", "tiny/say", cwd=place, check=True)
    layer = own.layers(place, "tiny")["tiny/say-1"]
    assert subprocess.check_output([own.path / "layers" / layer / "usr/bin/say"]) == (
        b"hello, glass!\n"
    )


def run(store: Store, place: Path, *words: str, status: int = 0) -> str:
    """Run ``cloche patch``; what it says, in one line if it refuses."""
    done = store.cloche("patch", *words, cwd=place)
    assert done.returncode == status, done.stdout + done.stderr
    if status:
        (line,) = [each for each in done.stderr.splitlines() if each.startswith("cloche: ")]
        return line
    return done.stdout + done.stderr


def test_a_trial_leaves_no_result_and_no_key(store: Store, place: Path) -> None:
    run(store, place, "prep", "tiny/say")
    tree = place / "work/tiny/say-1"
    patching.edit(tree / "say.c", "world", "nobody")
    run(store, place, "try")
    assert store.cloche("history", "tiny/say", cwd=place).returncode != 0
    fates = store.cloche("plan", "tiny", "--json", cwd=place, check=True).stdout
    assert '"fate": "build"' in fates
    assert not list((store.path / "blobs").glob("*say*"))
    # A file that prepare has changed begins from the start: its change would be lost.
    patching.edit(tree / "version.h", "define", "define ")
    assert "from the start: the build changed version.h itself" in run(store, place, "try")
    patching.edit(tree / "say.c", "hello", "hello!")
    patching.edit(tree / "say.c", "int main", "int sub")
    assert "try failed: phase compile" in run(store, place, "try", status=1)
    patching.edit(tree / "say.c", "int sub", "int main")
    patching.edit(tree / "say.c", "hello!", "hello")
    assert "try failed: phase test: it does not shout" in run(
        store, place, "try", "--test", status=1
    )
    shutil.rmtree(place / "work")


PATCH = """Subject: Call the world glass
Upstream: not sent yet

It is.

diff --git a/notes.txt b/notes.txt
new file mode 100644
--- /dev/null
+++ b/notes.txt
@@ -0,0 +1 @@
+ignored by the tree's own .gitignore
diff --git a/run b/run
new file mode 100755
--- /dev/null
+++ b/run
@@ -0,0 +1 @@
+#!/bin/sh
--- a/say.c
+++ b/say.c
@@ -1,7 +1,7 @@
 #include <stdio.h>
 #include "version.h"
 
-static const char *whom = "world";
+static const char *whom = "glass";
 
 /* What is said is a line of its own. */
 int main(void)
"""  # noqa: W293


def test_a_patch_is_minimal_and_always_the_same(store: Store, place: Path) -> None:
    run(store, place, "prep", "tiny/say")
    tree = place / "work/tiny/say-1"
    patching.edit(tree / "say.c", "world", "glass")
    (tree / "say.c~").write_text("what an editor leaves")
    (tree / "notes.txt").write_text("ignored by the tree's own .gitignore\n")
    (tree / "run").write_text("#!/bin/sh\n")
    (tree / "run").chmod(0o755)
    header = ("--subject", "Call the world glass", "--why", "It is.")
    run(store, place, "save", "--this-version", *header)
    (file,) = (place / "patches/tiny/say-1").iterdir()
    assert file.read_text() == PATCH
    shutil.rmtree(place / "work")

    idle = place / "patches/tiny/other"
    idle.mkdir()
    (idle / "fix.patch").write_text("Not used.\n")
    rows = json.loads(store.cloche("patch", "list", "--json", cwd=place, check=True).stdout)
    name = "0001-call-the-world-glass.patch"
    assert rows == [
        {
            "patch": "patches/tiny/other/fix.patch",
            "package": "tiny/other",
            "subject": "Not used.",
            "versions": [],
            "machines": [],
        },
        {
            "patch": f"patches/tiny/say-1/{name}",
            "package": "tiny/say-1",
            "subject": "Call the world glass",
            "versions": ["tiny/say-1"],
            "machines": ["tiny"],
        },
    ]
    assert "no patch is called “fxi.patch”; did you mean “fix.patch”?" in (
        run(store, place, "drop", "fxi.patch", status=2)
    )
    assert "would be removed\nnothing is removed" in run(store, place, "drop", name)
    assert file.exists()
    run(store, place, "drop", name, "tiny/other/fix.patch", "--yes")
    assert not (place / "patches").exists()


def test_a_patch_for_all_versions_applies_to_all_that_machines_have(
    store: Store, place: Path
) -> None:
    newer = place / "machines/newer.toml"
    newer.write_text(patching.MACHINE.replace("=tiny/say-1", "tiny/say"))
    run(store, place, "prep", "=tiny/say-1")
    patching.edit(place / "work/tiny/say-1/say.c", "hello", "HELLO")
    header = ("--subject", "Be loud", "--why", "It is far.")
    line = run(store, place, "save", *header, status=2)
    assert "tiny/say-2: 0001-be-loud.patch does not apply: say.c, hunk 1 (line 6); " in line
    assert line.endswith("machine newer has that version: `--this-version` saves it for one")
    assert not (place / "patches").exists()
    run(store, place, "save", "--this-version", "--fragment", "base", *header)
    saved = place / "portage/base/patches"
    assert [each.name for each in saved.rglob("*.patch")] == ["0001-be-loud.patch"]
    shutil.rmtree(saved)
    shutil.rmtree(place / "work")
    newer.unlink()


def test_bad_input_is_one_line(store: Store, place: Path) -> None:
    assert "no package matches “tiny/sya”; did you mean “tiny/say”" in (
        run(store, place, "prep", "tiny/sya", status=2)
    )
    assert "tiny/old-1: its ebuild (EAPI 5) never calls eapply_user" in (
        run(store, place, "prep", "tiny/old", status=2)
    )
    assert "tiny/none-1: its ebuild (EAPI 8) never calls eapply_user" in (
        run(store, place, "prep", "tiny/none", status=2)
    )
    assert "its sources are not below WORKDIR" in run(store, place, "prep", "evil", status=1)
    assert not list((place / "work").glob("*/evil-1"))
    assert "no machine is called “none”" in (
        run(store, place, "prep", "say", "--machine", "none", status=2)
    )
    for words in (("try",), ("save",)):
        assert "there is no work tree; `cloche patch prep ATOM`" in run(
            store, place, *words, status=2
        )
    assert "there is no work tree of jq" in run(store, place, "try", "jq", status=2)
    run(store, place, "prep", "tiny/say")
    tree = place / "work/tiny/say-1"
    assert "the work tree has no change" in run(store, place, "save", status=2)
    patching.edit(tree / "say.c", "world", "glass")
    assert "it has a change that is not saved" in run(store, place, "prep", "say", status=2)
    assert "needs a header; say it with --subject" in run(store, place, "save", status=2)
    header = ("--subject", "x", "--why", "y")
    assert "no fragment of this machine is called “none”" in (
        run(store, place, "save", "--fragment", "none", *header, status=2)
    )
    (tree / "data.bin").write_bytes(b"\0\1\2")
    assert "data.bin: a binary file" in run(store, place, "save", *header, status=2)
    (tree / "data.bin").unlink()

    patches = place / "patches/tiny/say"
    patches.mkdir(parents=True)
    (patches / "0001-bad.patch").write_text("--- a/say.c\n+++ b/say.c\n@@ -4 +4 @@\n-no\n+yes\n")
    assert "its saved patches have changed" in run(store, place, "try", status=2)
    line = run(store, place, "prep", "say", "--force", status=2)
    assert "tiny/say-1: 0001-bad.patch does not apply: say.c, hunk 1 (line 4)" in line
    assert not tree.exists()
    (patches / "0001-bad.patch").unlink()

    run(store, place, "prep", "say")
    tree.rename(tree.with_name("say-9"))
    assert "it was made of tiny/say-1; remove it" in run(store, place, "try", status=2)
    shutil.rmtree(place / "work")


@pytest.fixture
def patched(place: Path) -> Iterator[Path]:
    """The project with patches for say-1."""
    patches = place / "patches/tiny"
    for name, text in (
        ("say/0001-glass.patch", patching.GLASS),
        ("say/0002-shout.patch", patching.SHOUT),
        ("say-1/0003-data.patch", patching.DATA),
    ):
        (patches / name).parent.mkdir(parents=True, exist_ok=True)
        (patches / name).write_text(text)
    yield patches
    shutil.rmtree(place / "patches")
    shutil.rmtree(place / "work", ignore_errors=True)


def test_a_rebase_stops_at_a_conflict_and_goes_on(store: Store, place: Path, patched: Path) -> None:
    tree = place / "work/tiny/say-2"
    done = store.cloche("patch", "rebase", "tiny/say", "2", cwd=place)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]
    assert "tiny/say-2: 0002-shout.patch does not apply: say.c, hunk 1 (line 6); resolve" in last
    assert '-\tprintf("hello, %s", whom);\n+\tprintf("hello, %s!", whom);' in done.stderr
    assert patching.history(tree)[0] == "Call the world glass"
    assert "its rebase waits at 0002-shout.patch" in run(store, place, "try", status=2)
    assert "still marks of a conflict in say.c" in run(store, place, "save", status=2)
    assert "no conflict of a rebase was resolved" in run(store, place, "rebase", "--back", status=2)
    assert "a rebase that has not ended" in run(store, place, "rebase", "say", "2", status=2)
    mended = '\tprintf("good morning, dear %s!", whom);\n'
    _resolve(tree / "say.c", mended)
    _fail_at_the_end(store, place)
    said = run(store, place, "save")
    assert "0001-glass.patch applies as it is" in said
    assert "0002-shout.patch is changed" in said
    new = patched / "say-2"
    assert sorted(each.name for each in new.iterdir()) == ["0002-shout.patch", "0003-data.patch"]
    head, body = (new / "0002-shout.patch").read_text().split("--- a/", 1)
    assert head == patching.SHOUT.split("--- a/", 1)[0]
    assert f"+{mended}" in body
    data = (new / "0003-data.patch").read_text()
    assert data.startswith(patching.DATA.split("--- a/", 1)[0])
    assert "+other\n" in data
    assert '+#define  VERSION "@VERSION@"\n' in data
    assert (patched / "say/0002-shout.patch").read_text() == patching.SHOUT

    _go_back(store, place, new, mended.replace("dear", "dearest"))
    run(store, place, "prep", "=tiny/say-2")
    assert patching.history(tree)[:3] == ["Change data", "Shout", "Call the world glass"]


def _resolve(file: Path, text: str) -> None:
    """Put a text in the place of the only conflict of a file."""
    old = file.read_text()
    start, end = old.index("<<<<<<<"), old.index(">>>>>>>\n") + len(">>>>>>>\n")
    file.write_text(old[:start] + text + old[end:])


def _go_back(store: Store, place: Path, new: Path, other: str) -> None:
    """Find the resolution wrong when all is done, and give another."""
    shout, source = new / "0002-shout.patch", place / "work/tiny/say-2/say.c"
    text, resolved = shout.read_text(), source.read_text()
    shout.write_text(f"{text}\n")
    assert "0002-shout.patch: it has been changed since" in (
        run(store, place, "rebase", "--back", status=2)
    )
    shout.write_text(text)
    source.write_text(f"{resolved}\n")
    assert "a change that is not saved" in run(store, place, "rebase", "--back", status=2)
    (old,) = (path for path in (place / "patches").rglob("0003-data.patch") if path.parent != new)
    old.rename(place / "away")
    assert "0003-data.patch: this patch of the rebase is gone; restore it" in (
        run(store, place, "rebase", "--back", "--force", status=2)
    )
    assert shout.exists()
    (place / "away").rename(old)
    said = run(store, place, "rebase", "--back", "--force")
    assert "tiny/say-2 is at 0003-data.patch again" in said  # it was changed as well
    assert not new.exists()
    assert "is at 0002-shout.patch again" in run(store, place, "rebase", "--back")
    assert "its rebase waits at 0002-shout.patch" in run(store, place, "try", status=2)
    _resolve(source, other)
    run(store, place, "save")
    assert f"+{other}" in shout.read_text()
    assert (new / "0003-data.patch").exists()


def _fail_at_the_end(store: Store, place: Path) -> None:
    """Have a rebase whose conflict is resolved fail: before the next patch, then in the check."""
    ebuild = place / "repo/tiny/say/say-2.ebuild"
    text = ebuild.read_text()
    ebuild.unlink()
    run(store, place, "save", status=2)
    # What is changed now, outside of a conflict, goes with the next patch.
    patching.edit(place / "work/tiny/say-2/version.h", "define", "define ")
    ebuild.write_text(text.replace("    default\n", "    die 'no luck'\n"))
    assert "no patch of its rebase is in a conflict" in run(
        store, place, "save", "--skip", status=2
    )
    assert "no luck" in run(store, place, "save", status=1)
    assert patching.history(place / "work/tiny/say-2")[0] == "Change data"
    ebuild.write_text(text)
    for words in (("prep", "=tiny/say-2"), ("rebase", "say", "2")):
        assert "a rebase that has not ended" in run(store, place, *words, status=2)
    assert "its rebase has not ended; `cloche patch save`" in run(store, place, "try", status=2)
    assert not (place / "patches/tiny/say-2").exists()


def test_a_rebase_without_a_conflict_writes_little(
    store: Store, place: Path, patched: Path
) -> None:
    (patched / "say/0002-shout.patch").unlink()
    other = place / "machines/a.toml"  # the first, which has no version of it
    other.write_text(patching.MACHINE.replace('"=tiny/say-1", ', ""))
    said = run(store, place, "rebase", "=tiny/say-1", "2")
    note = json.loads((place / "work/tiny/say-2/.git/cloche.json").read_text())
    assert note["machine"] == "tiny"
    other.unlink()
    assert "tiny/say-2: 0001-glass.patch applies as it is" in said
    assert [each.name for each in (patched / "say-2").iterdir()] == ["0003-data.patch"]
    assert (patched / "say-2/0003-data.patch").read_text() == patching.DATA
    assert "tiny/say-2 builds; the work tree has no change" in run(store, place, "try")
    shutil.rmtree(patched / "say-2")
    (patched / "say/0002-shout.patch").write_text(patching.SHOUT)
    run(store, place, "rebase", "=tiny/say-1", "2", status=2)
    assert "0002-shout.patch is left out" in run(store, place, "save", "--skip")
    assert (patched / "say-2/0002-shout.patch").read_text() == ""
    assert "morning" in (place / "work/tiny/say-2/say.c").read_text()
    assert "is not of the form" in run(store, place, "rebase", "say", "two", status=2)
    told = "tiny/say-9: no repository has this version; there are 1, 2"
    assert told in run(store, place, "rebase", "say", "9", status=2)
    assert told in run(store, place, "prep", "=tiny/say-9", status=2)
    assert "tiny/old-1: it has no patches" in run(store, place, "rebase", "old", "1", status=2)


def test_without_git_the_line_says_what_to_install(
    store: Store, place: Path, tmp_path: Path
) -> None:
    done = store.cloche("patch", "prep", "say", cwd=place, env={"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert "cloche patch: git is not installed; install dev-vcs/git" in done.stderr
