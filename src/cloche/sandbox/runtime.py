"""A way to make a sandbox: what an engine's launcher does for a request, in the sandbox's first
process. Native does all of it itself; the other engines start a tool (`supervisor`).

Everything that a way needs must be imported when the launcher is forked: later, no module can be.
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
    """A command that runs: the child whose end is the sandbox's, and descriptors.

    ``passed`` go to the caller (a terminal's master), ``kept`` stay open in the first process.
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
        """Make the way; ``tool`` is the wanted one of several. Raises SandboxError."""
        if tool is not None:
            raise SandboxError(f"making the engine {cls.name}:{tool}", "it has no choice of tools")
        return cls()

    @classmethod
    def provide(cls) -> None:
        """Fetch what the engine needs and can have without being installed, when it is chosen."""
        return

    @abstractmethod
    def make_ready(self, *, network: bool) -> list[Mount]:
        """Do what needs no knowledge of the request; return the mounts that all sandboxes have.

        Not the mount namespace: mounts that the host makes until the request comes must be seen.
        """

    @abstractmethod
    def start(
        self, request: Request, common: list[Mount] | None, streams: Sequence[int]
    ) -> Started:
        """Make the sandbox and start the command. Raises SandboxError.

        ``common`` is what `make_ready` gave, None where it failed; ``streams`` are 0, 1, 2 and
        then the extra descriptors, in the order of ``request.fds``.
        """

    def attend(self, started: Started, request: Request) -> dict[str, Any]:
        """Wait for the end, or the time limit, and report it; no child may be left."""
        return reaping.reap(started.pid, request.command.timeout)
