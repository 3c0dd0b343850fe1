"""Errors of binary package hosts."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit


class MissingIndexError(ClocheError):
    """The index of a binary package host is not in the store; ``locked``: cloche.lock pins it."""

    def __init__(self, name: str, *, locked: bool) -> None:
        super().__init__(
            f"the index of the binary package host {name} is not in the store",
            todo=f"run `cloche repo sync {name}{' --locked' if locked else ''}`",
        )


class BadPackageError(ClocheError):
    """A file is not the expected binary package."""

    status = Exit.FAILED

    def __init__(self, source: str, reason: str) -> None:
        todo = "do not use this host; remove it from the machine's `binrepos`"
        super().__init__(reason, where=source, todo=todo)
