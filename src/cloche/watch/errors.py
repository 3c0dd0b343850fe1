"""What can go wrong before anything is watched."""

from __future__ import annotations

from cloche.errors import ClocheError


class NothingToWatchError(ClocheError):
    """No emerge runs, at least none that fits."""

    def __init__(self, root: str | None) -> None:
        super().__init__(root)
        self.root = root

    @property
    def what(self) -> str:
        """That there is none."""
        return f"no emerge runs in {self.root}" if self.root else "no emerge runs"

    @property
    def todo(self) -> str | None:
        """How to wait for one."""
        return "with --wait the next one is waited for"
