"""What can be wrong with files that people write."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cloche.errors import ClocheError, Exit


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where something was written: a file, and its line counted from 1 (None: the whole file)."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        # What is no UTF-8 or would steer a terminal shows as a question mark.
        file = "".join(char if char.isprintable() else "?" for char in str(self.file))
        return f"{file}:{self.line}" if self.line else file


class ConfigError(ClocheError):
    """What is written at ``origin`` cannot be meant, read or used."""

    def __init__(
        self, origin: Origin, what: str, todo: str | None = None, *, status: Exit | None = None
    ) -> None:
        super().__init__(what, where=origin, todo=todo, status=status)


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was most likely meant to be, or None."""
    found = difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.55)
    return found[0] if found else None


def _offer(word: str, choices: Iterable[str]) -> str | None:
    """Say what could be meant, and what there is."""
    known = sorted(choices)
    close = nearest(word, known)
    there_is = f"there is: {', '.join(known[:20])}" if known else None
    return f"did you mean “{close}”? {there_is}" if close else there_is


def unknown_key(origin: Origin, key: str, choices: Iterable[str]) -> ConfigError:
    """A key that means nothing here."""
    return ConfigError(origin, f"unknown key “{key}”", _offer(key.rpartition(".")[2], choices))


def missing_key(origin: Origin, key: str, example: str) -> ConfigError:
    """A key that has to be there."""
    return ConfigError(origin, f"“{key}” is missing", f"add a line such as: {key} = {example}")


def wrong_type(origin: Origin, key: str, expected: str, found: str) -> ConfigError:
    """A value of another type than its key wants."""
    return ConfigError(origin, f"“{key}” is {found}, expected {expected}")


def unknown_name(origin: Origin, kind: str, name: str, choices: Iterable[str]) -> ConfigError:
    """A machine, set, fragment, seed or repository that is not there."""
    todo = _offer(name, choices) or f"this project has no {kind} at all"
    return ConfigError(origin, f"no {kind} is called “{name}”", todo)


def no_machines(origin: Origin) -> ConfigError:
    """A project without a single machine, where all of them are meant."""
    return ConfigError(origin, "this project has no machines", "write machines/NAME.toml")


def contradiction(
    origin: Origin, other: Origin, subject: str, ours: str, theirs: str
) -> ConfigError:
    """Two fragments that cannot both be meant."""
    return ConfigError(
        origin,
        f"{subject} is {ours} here, but {theirs} in {other}",
        "keep one of the two lines, or move what differs into a fragment of its own",
    )


def unwritable(file: Path, reason: str) -> ConfigError:
    """A file of the project that has to be written, and cannot be."""
    todo = "work in a project that you may write to, a copy of this one perhaps"
    return ConfigError(Origin(file), f"cannot be written: {reason}", todo, status=Exit.HOST)
