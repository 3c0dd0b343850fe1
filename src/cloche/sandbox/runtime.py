"""What an engine does for a request in the sandbox's first process: the base of all runtimes.

The native runtime does all of it itself; other engines start a tool (`supervisor`). Modules must be
imported before the launcher is forked: afterwards none can be.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from cloche.sandbox import reaping
from cloche.sandbox.assembly import Mount
from cloche.sandbox.base import Nature
from cloche.sandbox.errors import SandboxError
from cloche.sandbox.wire import Request


@dataclass(frozen=True, slots=True)
class Started:
    """A running command: the child with which the sandbox ends, and descriptors.

    ``passed`` are sent to the caller (a terminal's master), ``kept`` stay open in this process.
    """

    pid: int
    passed: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()


class Runtime(ABC):
    """What differs between engines. One object serves all sandboxes of an engine."""

    name: str
    nature: Nature
    makes_groups = False  # control groups of its own

    @classmethod
    def make(cls, tool: str | None) -> Self:
        """Make the runtime; ``tool`` chooses one of several. Raises SandboxError."""
        if tool is not None:
            raise SandboxError(f"making the engine {cls.name}:{tool}", "it takes no tool")
        return cls()

    @classmethod
    def provide(cls) -> None:
        """Fetch what the engine needs and cloche can provide; called when it is chosen."""
        return

    @abstractmethod
    def make_ready(self, *, network: bool) -> list[Mount]:
        """Do what does not depend on the request; return the mounts of all sandboxes.

        The mount namespace comes later: what the host mounts until the request must be visible.
        """

    @abstractmethod
    def start(
        self, request: Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """Make the sandbox and start the command. Raises SandboxError.

        ``common`` comes from `make_ready`, None if it failed; ``streams`` are 0, 1, 2 and the
        extra descriptors, in the order of ``request.fds``.
        """

    def attend(self, started: Started, request: Request) -> dict[str, Any]:
        """Wait for the end or the time limit, end all children, and return a report."""
        return reaping.reap(started.pid, request.command.timeout)
