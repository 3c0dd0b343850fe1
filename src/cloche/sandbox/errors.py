"""What can go wrong with engines: the host lacks something, or one sandbox cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloche.errors import ClocheError, Exit


class SandboxError(ClocheError):
    """A sandbox could not be made, or its program not be started.

    ``step`` says what was being done, ``message`` how the kernel answered, ``errno`` is 0 where no
    system call was at fault.
    """

    status = Exit.HOST

    def __init__(self, step: str, message: str, errno: int = 0, todo: str | None = None) -> None:
        super().__init__(f"{step}: {message}", todo=todo)
        self.step, self.message, self.errno = step, message, errno


class ProgramError(SandboxError):
    """The sandbox was there, but its ``cwd`` could not be entered or ``argv[0]`` not executed."""

    status = Exit.FAILED


class LauncherError(SandboxError):
    """The engine's launcher, process ``pid``, has ended, and with it all of its sandboxes."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            "running a sandbox",
            f"the launcher of its engine (process {pid}) has ended",
            0,
            "try again; the kernel's log says whether it was killed for lack of memory",
        )


class HostError(ClocheError):
    """The host lacks what sandboxes need; ``command`` mends it."""

    status = Exit.HOST

    def __init__(self, problem: str, command: str | None = None) -> None:
        super().__init__(problem, todo=f"run `{command}`" if command else None)


def reported(report: Mapping[str, Any], doing: str) -> SandboxError:
    """The error in a sandbox's report; ``doing`` is the step where it is of another kind."""
    error = ClocheError.from_data(report)
    if isinstance(error, SandboxError):
        return error
    return SandboxError(doing, error.what, todo=error.todo)
