"""What can go wrong with binary package hosts."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit


class MissingIndexError(ClocheError):
    """A binary package host whose index is not in the store; ``locked``: cloche.lock has it."""

    def __init__(self, name: str, *, locked: bool) -> None:
        super().__init__(
            f"the index of the binary package host {name} is not in the store",
            todo=f"run `cloche repo sync {name}{' --locked' if locked else ''}`",
        )


class BadPackageError(ClocheError):
    """A file that is not the binary package it should be."""

    status = Exit.FAILED

    def __init__(self, source: str, reason: str) -> None:
        todo = "do not use this package host, or take it out of the machine's `binrepos`"
        super().__init__(reason, where=source, todo=todo)
