"""Changes single assignments of a make.conf and leaves its other lines, with their comments."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from cloche.config.errors import ConfigError, Origin
from cloche.config.makeconf import Assignment, parse

_MOST = 100  # lines with `source` in one file
_SOURCE = re.compile(r"\s*source\s+(\S+)\s*(?:#.*)?")


class Comment(str):
    """A line that takes the place of an assignment."""

    __slots__ = ()


#: The new value of an assignment, or the comment that takes its place.
Change = Callable[[Assignment], str]


def changed(text: str, file: Path, change: Change) -> str:
    """The text with some assignments changed. Raises `ConfigError` if it cannot be read.

    If the lines of an assignment cannot be told apart from others, the file is written anew,
    without its comments.
    """
    wanted = [(each, change(each)) for each in parse(text, file, owned={})]
    if all(new is each.value for each, new in wanted):
        return text
    lines = text.split("\n")
    for each, new in reversed(wanted):
        if new is not each.value:
            start = (each.origin.line or 1) - 1
            lines[start : start + each.value.count("\n") + 1] = [_line(each, new)]
    kept = [(each.name, str(new)) for each, new in wanted if not isinstance(new, Comment)]
    anew = [_line(each, new) for each, new in wanted]
    for edited in ("\n".join(lines), "\n".join(anew) + "\n"):
        if _reads_as(edited, file, kept):
            return edited
    origin = next(each.origin for each, new in wanted if new is not each.value)
    raise ConfigError(origin, "this assignment cannot be changed", "write it with double quotes")


def without_sources(text: str, file: Path) -> tuple[str, tuple[tuple[int, str], ...]]:
    """The text without ``source FILE``, and what was taken out: lines and files.

    Raises `ConfigError` if it cannot be read otherwise, too.
    """
    taken: list[tuple[int, str]] = []
    lines = text.split("\n")
    for _ in range(_MOST):
        try:
            parse("\n".join(lines), file, owned={})
        except ConfigError as error:
            # The lexer is at the next line if the word ended with this one.
            number = int((error.where or "").rpartition(":")[2])
            found = _source_near(lines, number)
            if not error.what.startswith("“source”") or found is None:
                raise
            taken.append(found)
            lines[found[0] - 1] = "# `source` is not carried over; see IMPORT.md"
        else:
            return "\n".join(lines), tuple(taken)
    raise ConfigError(Origin(file), f"more than {_MOST} lines with `source`")


def _source_near(lines: Sequence[str], number: int) -> tuple[int, str] | None:
    """The line with ``source FILE`` that is meant by a number, and the file."""
    for each in (number, number - 1):
        match = _SOURCE.fullmatch(lines[each - 1]) if 0 < each <= len(lines) else None
        if match:
            return each, match[1].strip("\"'")
    return None


def _line(each: Assignment, new: str) -> str:
    if isinstance(new, Comment):
        return f"# {new}"
    quote = "'" if set('"\\') & set(new) else '"'
    return f"{each.name}={quote}{new}{quote}"


def _reads_as(text: str, file: Path, wanted: Sequence[tuple[str, str]]) -> bool:
    try:
        found = parse(text, file, owned={})
    except ConfigError:
        return False
    return [(each.name, each.value) for each in found] == list(wanted)
