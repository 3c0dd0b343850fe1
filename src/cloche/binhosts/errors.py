"""What can go wrong with binary package hosts."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

from cloche.errors import ClocheError, Exit


class MissingIndexError(ClocheError):
    """A binary package host whose index is not in the store."""

    def __init__(self, name: str, *, locked: bool) -> None:
        super().__init__(name)
        self.name, self.locked = name, locked

    @property
    def what(self) -> str:
        return f"the index of the binary package host {self.name} is not in the store"

    @property
    def todo(self) -> str:
        return f"run `cloche repo sync {self.name}{' --locked' if self.locked else ''}`"


class IndexDriftError(ClocheError):
    """A host that offers another index than the locked one; old ones are nowhere to be had."""

    def __init__(self, name: str, locked: str, found: str) -> None:
        super().__init__(name, locked, found)
        self.name, self.locked, self.found = name, locked, found

    @property
    def what(self) -> str:
        return (
            f"the binary package host {self.name} offers index {self.found[:12]}, "
            f"locked is {self.locked[:12]}"
        )

    @property
    def todo(self) -> str:
        return f"run `cloche repo sync {self.name}` and lock again, or copy the store that has it"


class BadPackageError(ClocheError):
    """A file that is not the binary package it should be."""

    status = Exit.FAILED

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source, self.reason = source, reason

    @property
    def what(self) -> str:
        return self.reason

    @property
    def where(self) -> str | None:
        return self.source

    @property
    def todo(self) -> str:
        return "do not use this package host, or take it out of the machine's `binrepos`"
