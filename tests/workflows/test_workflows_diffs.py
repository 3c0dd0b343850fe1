"""What a diff of git needs as a user patch, and what patch(1) says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cloche.building.rejected import Refused, refused
from cloche.errors import ClocheError
from cloche.workflows import diffs

PLAIN = b"""diff --git a/f b/f
index 1111111..2222222 100644
--- a/f
+++ b/f
@@ -1,3 +1,3 @@ head
 one
-index two
+diff --git x
 three
\\ No newline at end of file
"""
MADE = b"""diff --git a/new b/new
new file mode 100755
index 0000000..2222222
--- /dev/null
+++ b/new
@@ -0,0 +1 @@
+index
diff --git a/mode b/mode
old mode 100644
new mode 100755
"""


def test_plain_changes_keep_nothing_of_git() -> None:
    assert diffs.minimal(PLAIN) == b"".join(PLAIN.splitlines(keepends=True)[2:])


def test_modes_and_new_files_keep_their_header() -> None:
    kept = [line for line in MADE.splitlines(keepends=True) if not line.startswith(b"index ")]
    assert diffs.minimal(MADE) == b"".join(kept)
    assert diffs.minimal(PLAIN + MADE).count(b"diff --git a/") == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"diff --git a/p b/p\nindex 1..2\nBinary files a/p and b/p differ\n", "p: a binary file"),
        (b"diff --git a/p b/p\nBinary files /dev/null and b/p differ\n", "p: a binary file"),
        (b"diff --git a/s b/s\nnew file mode 160000\n", "s: a repository"),
    ],
)
def test_what_patch_cannot_apply_is_refused(text: bytes, words: str) -> None:
    with pytest.raises(ClocheError, match="cannot hold") as caught:
        diffs.minimal(text)
    assert str(caught.value).startswith(words)


def patched(directory: Path, content: str, patch: str) -> str:
    """What patch(1) says, as `eapply` calls it."""
    (directory / "src").mkdir()
    (directory / "src/a.c").write_text(content)
    words = ("patch", "-p1", "-f", "-g0", "--dry-run")
    done = subprocess.run(words, cwd=directory, input=patch, capture_output=True, text=True)
    assert done.returncode == 1
    return done.stdout


def test_refused_hunks_are_named_with_file_and_line(tmp_path: Path) -> None:
    lines = [f"{number}\n" for number in range(60)]
    content = "".join(lines)
    patch = (
        "--- a/src/a.c\n+++ b/src/a.c\n@@ -1,2 +1,2 @@\n-0\n+zero\n 1\n"
        "@@ -40,2 +40,2 @@\n-other\n+new\n 40\n"
        "--- a/src/gone.c\n+++ b/src/gone.c\n@@ -1 +1 @@\n-x\n+y\n"
    )
    found = refused(patched(tmp_path, content, patch))
    assert found == (Refused("src/a.c", 2, 40), Refused("src/gone.c", 0, 0))
    assert str(found[0]) == "src/a.c, hunk 2 (line 40)"
    assert str(found[1]) == "src/gone.c: no such file"
    hunk = diffs.hunk_of(patch.encode(), found[0])
    assert hunk == "@@ -40,2 +40,2 @@\n-other\n+new\n 40"
    assert diffs.hunk_of(patch.encode(), found[1]) == "@@ -1 +1 @@\n-x\n+y"


def test_marks_of_a_conflict_come_in_pairs() -> None:
    assert diffs.marked(b"a\n<<<<<<<\nb\n=======\nc\n>>>>>>>\n")
    assert diffs.marked(b"<<<<<<< old\n>>>>>>> new\n")
    assert not diffs.marked(b"Title\n=======\n>>>>>>> quoted\n")


def test_the_text_above_a_patch_is_its_header() -> None:
    head, body = diffs.split(b"Subject: x\n\nwhy\n\n--- a/f\n+++ b/f\n")
    assert (head, body) == (b"Subject: x\n\nwhy\n\n", b"--- a/f\n+++ b/f\n")
    assert diffs.split(b"only text\n") == (b"only text\n", b"")
