"""Errors of commands that do several things."""

from __future__ import annotations

from cloche.errors import ClocheError


class MachinesError(ClocheError):
    """Some of several machines failed, as was shown for each. ``first`` gives the status."""

    def __init__(self, failed: tuple[str, ...], count: int, first: ClocheError) -> None:
        super().__init__(failed, count)
        self.failed, self.count, self.status = failed, count, first.status

    @property
    def what(self) -> str:
        """How many and which."""
        return f"{len(self.failed)} of {self.count} machines failed: {', '.join(self.failed)}"
