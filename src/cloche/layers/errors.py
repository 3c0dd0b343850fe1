"""What can go wrong with layers."""

# ruff: noqa: D102 - the texts of an error are documented in cloche.errors

from __future__ import annotations

from pathlib import Path

from cloche.errors import ClocheError, Exit


class MissingLowerError(ClocheError):
    """A directory of a stack is not there, or is no directory."""

    status = Exit.FAILED

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path

    @property
    def what(self) -> str:
        return "a layer of the stack is missing"

    @property
    def where(self) -> str:
        return str(self.path)

    @property
    def todo(self) -> str:
        return "run `cloche store verify`"
