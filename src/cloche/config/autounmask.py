"""Configuration changes that Portage proposes, as lines of a fragment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloche.config.errors import Origin, unknown_name, unwritable
from cloche.config.machine import Fragment, Machine

_SECTION: Final = re.compile(
    r"^The following .+ changes are necessary to proceed:\n"
    r" \(see \"(package\.[a-z_]+)\" in the portage\(5\) man page.*\)\n((?:.+\n?)+)",
    re.MULTILINE,
)
#: The file of a directory that Portage reads last.
_LAST: Final = "zz-autounmask"


@dataclass(frozen=True, slots=True)
class Change:
    """A line for ``file`` (``package.use``, …), with the comments that give its reason."""

    file: str
    line: str
    reasons: tuple[str, ...]


def proposed(text: str) -> tuple[Change, ...]:
    """The changes that Portage's (plain) output proposes, sorted, each line once."""
    found: dict[tuple[str, str], list[str]] = {}
    for file, lines in _SECTION.findall(text):
        reasons: list[str] = []
        for line in lines.splitlines():
            if line.startswith("#"):
                reasons.append(line)
            else:
                found.setdefault((file, line.strip()), []).extend(reasons)
                reasons = []
    return tuple(
        Change(file, line, tuple(dict.fromkeys(reasons)))
        for (file, line), reasons in sorted(found.items())
    )


def fragment_of(machine: Machine, name: str) -> Fragment:
    """The fragment of a machine that is called ``name``. Raises `ConfigError`."""
    for fragment in machine.fragments:
        if fragment.name == name:
            return fragment
    known = [fragment.name for fragment in machine.fragments]
    raise unknown_name(Origin(machine.file), "fragment of this machine", name, known)


def write(changes: Iterable[Change], fragment: Fragment) -> tuple[Path, ...]:
    """Add the changes to a fragment's files; return the changed files.

    Existing lines are not written again. Raises `ConfigError`.
    """
    by_file: dict[Path, list[Change]] = {}
    for change in changes:
        path = fragment.directory / change.file
        by_file.setdefault(path / _LAST if path.is_dir() else path, []).append(change)
    return tuple(path for path, wanted in by_file.items() if _append(path, wanted))


def _append(path: Path, wanted: Sequence[Change]) -> bool:
    try:
        text = path.read_text() if path.exists() else ""
        there = {line.strip() for line in text.splitlines()}
        new = [change for change in wanted if change.line not in there]
        if not new:
            return False
        if text and not text.endswith("\n"):
            text += "\n"
        path.write_text(text + "".join(f"{line}\n" for c in new for line in (*c.reasons, c.line)))
    except (OSError, UnicodeDecodeError) as error:
        raise unwritable(path, getattr(error, "strerror", None) or str(error)) from error
    return True
