"""Errors of engines: the host lacks something, or a sandbox cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloche.errors import ClocheError, Exit


class SandboxError(ClocheError):
    """A sandbox could not be made, or its program could not be started.

    ``step`` says what was being done, ``message`` why it failed; ``errno`` is 0 if no system call
    failed.
    """

    status = Exit.HOST

    def __init__(self, step: str, message: str, errno: int = 0, todo: str | None = None) -> None:
        super().__init__(f"{step}: {message}", todo=todo)
        self.step, self.message, self.errno = step, message, errno


class ProgramError(SandboxError):
    """The sandbox was made, but ``cwd`` could not be entered or ``argv[0]`` not executed."""

    status = Exit.FAILED


class LauncherError(SandboxError):
    """The engine's launcher, process ``pid``, has ended, and all of its sandboxes with it."""

    def __init__(self, pid: int) -> None:
        super().__init__(
            "running a sandbox",
            f"the launcher of its engine (process {pid}) has ended",
            0,
            "try again; the kernel's log says whether it was killed for lack of memory",
        )


class HostError(ClocheError):
    """The host lacks something that sandboxes need; ``command`` provides it."""

    status = Exit.HOST

    def __init__(self, problem: str, command: str | None = None) -> None:
        super().__init__(problem, todo=f"run `{command}`" if command else None)


def reported(report: Mapping[str, Any], doing: str) -> SandboxError:
    """The error in a sandbox's report; ``doing`` is the step where it is of another kind."""
    error = ClocheError.from_data(report)
    if isinstance(error, SandboxError):
        return error
    return SandboxError(doing, error.what, todo=error.todo)
