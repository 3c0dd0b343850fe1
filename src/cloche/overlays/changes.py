"""What a new state of a repository changes, for people: files as a diff, packages, needs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cloche.overlays.asking import CACHE
from cloche.overlays.content import File, Files
from cloche.overlays.source import LINK

_WIDE = 4000  # characters of a line of a diff
_PAIRS = 4_000_000  # of lines: difflib's time grows with their number
_NO_END = "\\ No newline at end of file"


@dataclass(frozen=True, slots=True)
class Change:
    """One file: "new", "gone" or "changed", with its diff as lines."""

    path: str
    how: str
    diff: tuple[str, ...]


def changes(old: Files, new: Files) -> tuple[Change, ...]:
    """All files that differ, but for the metadata cache."""
    found = []
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        if path.startswith(f"{CACHE}/") or before == after:
            continue
        how = "new" if before is None else "gone" if after is None else "changed"
        found.append(Change(path, how, tuple(_diff(path, before, after))))
    return tuple(found)


def _diff(path: str, old: File | None, new: File | None) -> Iterator[str]:
    texts = [_text(each) for each in (old, new)]
    if None in texts:
        yield f"Binary files a/{path} and b/{path} differ"
        return
    if old and new and old.mode != new.mode:
        yield f"mode of {path}: {old.mode} → {new.mode}"
    before, after = (_lines(text or "") for text in texts)
    if _pairs(before, after) > _PAIRS:
        yield f"{path}: {len(before)} lines, then {len(after)}: too different for a diff"
        return
    names = (f"a/{path}" if old else "/dev/null", f"b/{path}" if new else "/dev/null")
    for line in difflib.unified_diff(before, after, *names, lineterm=""):
        more = f" … {len(line) - _WIDE} more characters" if len(line) > _WIDE else ""
        yield line[:_WIDE] + more


def _lines(text: str) -> list[str]:
    """Lines as bash splits them: only a line feed ends one (`str.splitlines` knows more ends)."""
    lines = text.split("\n")
    last = lines.pop()
    return [*lines, last, _NO_END] if last else lines


def _pairs(before: Sequence[str], after: Sequence[str]) -> int:
    """The number of pairs of lines to compare, without the common beginning and end."""
    most = min(len(before), len(after))
    first = next((n for n in range(most) if before[n] != after[n]), most)
    most -= first
    last = next((n for n in range(most) if before[-1 - n] != after[-1 - n]), most)
    return (len(before) - first - last) * (len(after) - first - last)


def _text(file: File | None) -> str | None:
    """The text of a file; None if it is none."""
    if file is None:
        return ""
    try:
        text = file.content.decode()
    except UnicodeDecodeError:
        return None
    return f"link to {text}" if file.mode == LINK else None if "\0" in text else text
