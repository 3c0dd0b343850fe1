"""Text for the terminal: numbers, notes, and words of others that cannot steer it."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from cloche.client.program.problem import PROGRAM


def short(id: str) -> str:
    """The name of a package without its repository."""
    return shown(id.partition("::")[0])


def counted(number: int, name: str) -> str:
    """A number of things."""
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def clock(seconds: float) -> str:
    """A time as people write it."""
    whole = max(0, int(seconds)) if abs(seconds) < 1e9 else 0  # neither infinite nor no number
    if whole < 60:
        return f"{whole} s"
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def warn(notes: Iterable[str]) -> None:
    """Tell what the user should know."""
    for note in notes:
        print(f"{PROGRAM}: {shown(note)}", file=sys.stderr)


def shown(text: str) -> str:
    """A text of others in one line, with control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
