"""Lines of an ebuild that belong to the user, between marks, and a digest over the others.

The digest tells whether somebody has edited what autogen would overwrite.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from cloche.autogen.errors import RefusedError

_SEAL = "# autogen: "
_BEGIN = "# autogen: own "
_END = "# autogen: end"
_SEALED = re.compile(r"# autogen: ([0-9a-f]{16})\b.*")
_BLOCKS = ("variables", "phases")
SAID = "the lines between “own” and “end” are yours and stay"


def block(name: str, own: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The lines of a block that belongs to the user."""
    return [f"{_BEGIN}{name}", *own.get(name, ()), _END]


def lines_of(text: str) -> list[str]:
    """The lines of a text as bash has them: a form feed, or a CR, is part of a line."""
    found = text.split("\n")
    return found[:-1] if found[-1] == "" else found


def sealed(lines: list[str], at: int) -> str:
    """The text of a file, with its digest as the line ``at``."""
    seal = f"{_SEAL}{_digest(lines)}; {SAID}"
    return "\n".join([*lines[:at], seal, *lines[at:], ""])


def own_lines(text: str, path: Path) -> Mapping[str, tuple[str, ...]]:
    """The user's lines of each block.

    Raises `RefusedError` for marks that do not match, and for a block that autogen does not know:
    its lines would be lost.
    """
    found: dict[str, list[str]] = {}
    name: str | None = None
    for line in lines_of(text):
        if line.startswith(_BEGIN) and name is None:
            name = line.removeprefix(_BEGIN).strip()
            if name not in _BLOCKS or name in found:
                fault = "is there twice" if name in found else "is not one of autogen's"
                what = f"the block “{_BEGIN}{name}” {fault}"
                todo = f"have one block for each of {', '.join(_BLOCKS)}"
                raise RefusedError(what, where=path, todo=todo)
            found[name] = []
        elif line.startswith(_BEGIN) or (line == _END and name is None):
            raise _unmatched(path)
        elif line == _END:
            name = None
        elif name is not None:
            found[name].append(line)
    if name is not None:
        raise _unmatched(path)
    return {name: tuple(lines) for name, lines in found.items()}


def is_untouched(text: str) -> bool:
    """Whether a file is as autogen wrote it, but for the user's lines."""
    lines = lines_of(text)
    seals = [match[1] for line in lines if (match := _SEALED.fullmatch(line))]
    return seals == [_digest([line for line in lines if not _SEALED.fullmatch(line)])]


def _digest(lines: list[str]) -> str:
    text = "\n".join(_not_own(lines))
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def _not_own(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        inside = inside and line != _END
        if not inside:
            yield line
        inside = inside or line.startswith(_BEGIN)


def _unmatched(path: Path) -> RefusedError:
    what = f"the marks “{_BEGIN.strip()} …” and “{_END}” do not match"
    return RefusedError(what, where=path, todo="correct them")


def with_own_lines(text: str, name: str, more: Sequence[str]) -> str:
    """The text with more lines at the end of a block of the user's."""
    found: list[str] = []
    begin: int | None = None
    for line in lines_of(text):
        if begin is not None and line == _END:
            found += [each for each in more if each not in found[begin:]]
            begin = None
        found.append(line)
        if begin is None and line == f"{_BEGIN}{name}":
            begin = len(found)
    return "\n".join([*found, ""])
