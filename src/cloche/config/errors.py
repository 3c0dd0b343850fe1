"""Errors in the user's files."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import ClocheError, Exit


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """A place in a file: its line is counted from 1 (None: the whole file)."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        # Bytes that are not UTF-8, and control characters, show as question marks.
        file = "".join(char if char.isprintable() else "?" for char in str(self.file))
        return f"{file}:{self.line}" if self.line else file


class ConfigError(ClocheError):
    """What is written at ``origin`` is invalid or cannot be read."""

    def __init__(
        self, origin: Origin, what: str, todo: str | None = None, *, status: Exit | None = None
    ) -> None:
        super().__init__(what, where=origin, todo=todo, status=status)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most similar to ``word``, or None."""
    found = difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.55)
    return found[0] if found else None


def _offer(word: str, choices: Iterable[str], limit: int = 20) -> str | None:
    """Suggest a similar word, and list the choices, "…" for those beyond ``limit``."""
    known = sorted(choices)
    close = nearest(word, known)
    more = f", … ({len(known)} in all)" if len(known) > limit else ""
    there_is = f"there is: {', '.join(known[:limit])}{more}" if known else None
    return f"did you mean “{close}”? {there_is}" if close else there_is


def meant(word: str, choices: Iterable[str], add: str = "add the package that brings it") -> str:
    """Advice for a name that a machine's root lacks: a similar one, those that there are, or to
    ``add`` it.
    """
    known = sorted(set(choices))
    if close := nearest(word, known):
        return f"did you mean “{close}”?"
    few = 0 < len(known) <= 20
    return f"there is: {', '.join(known)}" if few else add


def unknown_key(origin: Origin, key: str, choices: Iterable[str]) -> ConfigError:
    """An unknown key."""
    known = tuple(choices)
    todo = _offer(key.rpartition(".")[2], known, limit=len(known))
    return ConfigError(origin, f"unknown key “{key}”", todo)


def missing_key(origin: Origin, key: str, example: str) -> ConfigError:
    """A mandatory key is missing."""
    return ConfigError(origin, f"“{key}” is missing", f"add a line such as: {key} = {example}")


def wrong_type(origin: Origin, key: str, expected: str, found: str) -> ConfigError:
    """A value has the wrong type for its key."""
    return ConfigError(origin, f"“{key}” is {found}, expected {expected}")


def unknown_name(origin: Origin, kind: str, name: str, choices: Iterable[str]) -> ConfigError:
    """A machine, set, fragment, seed or repository does not exist."""
    todo = _offer(name, choices) or f"this project has no {kind}"
    return ConfigError(origin, f"no {kind} is called “{name}”", todo)


def no_machines(origin: Origin) -> ConfigError:
    """A project without machines, where all of them are meant."""
    return ConfigError(origin, "this project has no machines", "write machines/NAME.toml")


def contradiction(
    origin: Origin, other: Origin, subject: str, ours: str, theirs: str
) -> ConfigError:
    """Two fragments contradict each other."""
    return ConfigError(
        origin,
        f"{subject} is {ours} here, but {theirs} in {other}",
        "keep one of the two lines, or move the difference to a separate fragment",
    )


def unwritable(file: Path, reason: str) -> ConfigError:
    """A file of the project cannot be written."""
    todo = "use a project that you may write to, for example a copy of this one"
    return ConfigError(Origin(file), f"cannot be written: {reason}", todo, status=Exit.HOST)
