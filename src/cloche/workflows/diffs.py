"""Diffs as user patches have them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloche.building.rejected import Refused
from cloche.errors import ClocheError

#: Files that editors and patch(1) leave beside others.
LEFTOVERS = ("*~", ".*.sw[a-p]", "#*#", ".#*", "*.orig", "*.rej")

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_BINARY = re.compile(rb"Binary files (.*) and (.*) differ")
_KEPT = (b"new file mode ", b"deleted file mode ", b"old mode ", b"new mode ")
#: How patch(1) knows the beginning of a diff (patch(1), "Determining the kind").
_DIFF_LIKE = re.compile(
    r"\s*(diff |Index:|Prereq:|--- |\+\+\+ |\*\*\* |@@ |[0-9]+(,[0-9]+)?[acd]([0-9]|$))"
)
_MARKS = re.compile(rb"^(<{7}|>{7})(?: .*)?$", re.MULTILINE)


def minimal(diff: bytes) -> bytes:
    """A diff of git without what no patch needs: index lines, and git's header of plain changes.

    Raises ClocheError for what patch(1) cannot apply.
    """
    made: list[bytes] = []
    for section in _sections(diff):
        head, body = section
        for line in head:
            if found := _BINARY.fullmatch(line.rstrip(b"\n")):
                name = next(each for each in found.groups() if each != b"/dev/null")
                raise _unfit(name[2:].decode(errors="replace"), "a binary file")
            if line.startswith((b"new file mode 160000", b"new mode 160000")):
                raise _unfit(head[0].split()[-1][2:].decode(errors="replace"), "a repository")
        extended = [line for line in head if line.startswith(_KEPT)]
        names = [line for line in head if line.startswith((b"--- ", b"+++ "))]
        made += [*([head[0]] if extended else []), *extended, *names, *body]
    return b"".join(made)


def _unfit(name: str, what: str) -> ClocheError:
    return ClocheError(
        f"{what}, which a user patch cannot hold", where=name, todo="take this change back"
    )


def _sections(diff: bytes) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """The head and the hunks of each file."""
    head: list[bytes] = []
    body: list[bytes] = []
    old = new = 0  # lines that the hunk still has
    for line in diff.splitlines(keepends=True):
        if old or new or (body and line.startswith(b"\\")):
            body.append(line)
            old -= line[:1] in b" -"
            new -= line[:1] in b" +"
        elif found := _HUNK.match(line):
            body.append(line)
            old, new = (int(each) if each is not None else 1 for each in found.groups())
        elif line.startswith(b"diff --git "):
            if head:
                yield head, body
            head, body = [line], []
        else:
            head.append(line)
    if head:
        yield head, body


def split(patch: bytes) -> tuple[bytes, bytes]:
    """The text above the diffs of a patch, and these."""
    lines = patch.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith((b"diff ", b"--- ", b"Index: ", b"*** ")):
            return b"".join(lines[:number]), b"".join(lines[number:])
    return patch, b""


def diff_like(text: str) -> bool:
    """Whether patch(1) might take a line of text for a part of a diff."""
    return _DIFF_LIKE.match(text) is not None


def marked(content: bytes) -> bool:
    """Whether a file has marks of a conflict."""
    return len({match[1] for match in _MARKS.finditer(content)}) == 2


def hunk_of(patch: bytes, refused: Refused) -> str:
    """The text of a hunk of a patch, with the line that names it."""
    for head, body in _by_file(patch):
        if head != refused.file:
            continue
        number = 0
        lines: list[str] = []
        for line in body:
            number += line.startswith("@@ ")
            if number == refused.hunk or not refused.hunk:
                lines.append(line)
        return "\n".join(lines)
    return ""


def _by_file(patch: bytes) -> Iterator[tuple[str, list[str]]]:
    """The lines of the hunks of each file."""
    name, before, lines = "", "", list[str]()
    left = 0
    for raw in patch.splitlines():
        line = raw.decode(errors="replace")
        if left > 0:
            lines.append(line)
            left -= {" ": 2, "": 2, "+": 1, "-": 1}.get(line[:1], 0)
        elif found := _HUNK.match(raw):
            lines.append(line)
            left = sum(int(each) if each is not None else 1 for each in found.groups())
        elif line.startswith("--- "):
            before = line[4:].partition("\t")[0]
        elif line.startswith("+++ "):
            if lines:
                yield name, lines
            after = line[4:].partition("\t")[0]
            used = before if after == "/dev/null" else after
            name, lines = used.partition("/")[2] or used, []
    if lines:
        yield name, lines
