"""What can be wrong with files that people write: one class a failure, data first, words last."""

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


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice that ``word`` was most likely meant to be, or None."""
    found = difflib.get_close_matches(word, sorted(choices), n=1, cutoff=0.55)
    return found[0] if found else None


def _offer(close: str | None, choices: Iterable[str]) -> str | None:
    """Say what could be meant, and what there is."""
    listed = ", ".join(sorted(choices)[:20])
    there_is = f"there is: {listed}" if listed else None
    return f"did you mean “{close}”? {there_is}" if close else there_is


class ConfigError(ClocheError):
    """The base of this room's errors: everything has a place."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        super().__init__(origin)

    @property
    def where(self) -> str | None:
        """The file, with the line where it is known."""
        return str(self.origin)


class UnreadableError(ConfigError):
    """A file that is not there, is no regular file, is too large, or lies outside the project."""

    def __init__(self, origin: Origin, reason: str, todo: str | None = None) -> None:
        super().__init__(origin)
        self.reason = reason
        self._todo = todo

    @property
    def what(self) -> str:
        """The reason."""
        return self.reason

    @property
    def todo(self) -> str | None:
        """What to do about it."""
        return self._todo


class MalformedError(UnreadableError):
    """A line that its format does not allow: TOML, make.conf, an atom, a duration."""


class NoProjectError(ConfigError):
    """No ``cloche.toml`` in the directory, nor in any above it."""

    @property
    def what(self) -> str:
        """What is missing."""
        return "no cloche.toml here or in a directory above"

    @property
    def todo(self) -> str:
        """How to get one."""
        return "change into a project, or make one with `cloche init DIR`"


class NoMachinesError(ConfigError):
    """A project without a single machine, where all of them are meant."""

    @property
    def what(self) -> str:
        """What is missing."""
        return "this project has no machines"

    @property
    def todo(self) -> str:
        """How to get one."""
        return "write machines/NAME.toml"


class UnknownKeyError(ConfigError):
    """A key that means nothing here."""

    def __init__(self, origin: Origin, key: str, choices: Iterable[str]) -> None:
        super().__init__(origin)
        self.key = key
        self.choices = tuple(sorted(choices))
        self.nearest = nearest(key.rpartition(".")[2], self.choices)

    @property
    def what(self) -> str:
        """The key."""
        return f"unknown key “{self.key}”"

    @property
    def todo(self) -> str | None:
        """The nearest key, and all keys."""
        return _offer(self.nearest, self.choices)


class MissingKeyError(ConfigError):
    """A key that has to be there."""

    def __init__(self, origin: Origin, key: str, example: str) -> None:
        super().__init__(origin)
        self.key = key
        self.example = example

    @property
    def what(self) -> str:
        """The key."""
        return f"“{self.key}” is missing"

    @property
    def todo(self) -> str:
        """A line to write."""
        return f"add a line such as: {self.key} = {self.example}"


class WrongTypeError(ConfigError):
    """A value of another type than its key wants."""

    def __init__(self, origin: Origin, key: str, expected: str, found: str) -> None:
        super().__init__(origin)
        self.key = key
        self.expected = expected
        self.found = found

    @property
    def what(self) -> str:
        """The key, and the two types."""
        return f"“{self.key}” is {self.found}, expected {self.expected}"


class UnknownNameError(ConfigError):
    """A machine, set, fragment, seed or repository that is not there."""

    def __init__(self, origin: Origin, kind: str, name: str, choices: Iterable[str]) -> None:
        super().__init__(origin)
        self.kind = kind
        self.name = name
        self.choices = tuple(sorted(choices))
        self.nearest = nearest(name, self.choices)

    @property
    def what(self) -> str:
        """The kind of thing, and its name."""
        return f"no {self.kind} is called “{self.name}”"

    @property
    def todo(self) -> str | None:
        """The nearest name, and all names."""
        return _offer(self.nearest, self.choices) or f"this project has no {self.kind} at all"


class RefusedFileError(UnreadableError):
    """A file in a fragment that cloche writes itself, that has no effect, or that nothing reads."""


class RefusedVariableError(ConfigError):
    """A variable in make.conf that is cloche's to set."""

    def __init__(self, origin: Origin, variable: str, reason: str) -> None:
        super().__init__(origin)
        self.variable = variable
        self.reason = reason

    @property
    def what(self) -> str:
        """The variable."""
        return f"{self.variable} cannot be set in a fragment"

    @property
    def todo(self) -> str:
        """Why, and what to use instead."""
        return f"remove the line: {self.reason}"


class ContradictionError(ConfigError):
    """Two fragments that cannot both be meant."""

    def __init__(self, origin: Origin, other: Origin, subject: str, ours: str, theirs: str) -> None:
        super().__init__(origin)
        self.other = other
        self.subject = subject
        self.ours = ours
        self.theirs = theirs

    @property
    def what(self) -> str:
        """The subject, both values, and the other place."""
        return f"{self.subject} is {self.ours} here, but {self.theirs} in {self.other}"

    @property
    def todo(self) -> str:
        """The ways out."""
        return "keep one of the two lines, or move what differs into a fragment of its own"


class NotEmptyError(ConfigError):
    """``cloche init`` was pointed at something that is there already."""

    @property
    def what(self) -> str:
        """What is there."""
        return "not an empty directory"

    @property
    def todo(self) -> str:
        """The way out; nothing has been written."""
        return "choose a new or an empty directory; nothing was written"


class UnwritableError(ConfigError):
    """A file of the project that has to be written, and cannot be."""

    status = Exit.HOST

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(Origin(file))
        self.reason = reason

    @property
    def what(self) -> str:
        """The reason."""
        return f"cannot be written: {self.reason}"

    @property
    def todo(self) -> str:
        """Say where it could be."""
        return "work in a project that you may write to, a copy of this one perhaps"


class BadLockError(ConfigError):
    """A lock file that cannot be read."""

    def __init__(self, file: Path, reason: str) -> None:
        super().__init__(Origin(file))
        self.reason = reason

    @property
    def what(self) -> str:
        """The reason."""
        return f"not a lock file of cloche: {self.reason}"

    @property
    def todo(self) -> str:
        """Say how to get a good one."""
        return "restore it from version control"
