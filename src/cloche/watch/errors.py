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


class UnreadableEmergeError(ClocheError):
    """An emerge that is somebody else's, or gone."""

    def __init__(self, pid: int, reason: str) -> None:
        super().__init__(pid, reason)
        self.pid, self.reason = pid, reason

    @property
    def what(self) -> str:
        """Which and why."""
        return f"the emerge with the pid {self.pid} cannot be looked into: {self.reason}"

    @property
    def todo(self) -> str | None:
        """Who can."""
        return "run this as root, or as the user that started it"
