"""What can go wrong with engines: the host lacks something, or one sandbox cannot be made."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit


class SandboxError(ClocheError):
    """A sandbox could not be made, or its program not be started.

    ``step`` says what was being done, ``message`` how the kernel answered, ``errno`` is 0 where no
    system call was at fault.
    """

    status = Exit.HOST

    def __init__(self, step: str, message: str, errno: int = 0, advice: str | None = None) -> None:
        super().__init__(step, message, errno, advice)
        self.step = step
        self.message = message
        self.errno = errno
        self.advice = advice

    @property
    def what(self) -> str:
        """Say what could not be done, and why."""
        return f"{self.step}: {self.message}"

    @property
    def todo(self) -> str | None:
        """Say what mends it, where that is known."""
        return self.advice


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
        self.pid = pid


class EngineUnknownError(ClocheError):
    """There is no engine of that name."""

    status = Exit.BAD_INPUT

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name, known)
        self.name = name
        self.known = known

    @property
    def what(self) -> str:
        """Say which engine."""
        return f"there is no engine {self.name!r}"

    @property
    def todo(self) -> str:
        """Say which ones there are."""
        return f"use one of {', '.join(self.known)}"


class HostError(ClocheError):
    """The host lacks what sandboxes need; ``command`` mends it."""

    status = Exit.HOST

    def __init__(self, problem: str, command: str | None = None) -> None:
        super().__init__(problem, command)
        self.problem = problem
        self.command = command

    @property
    def what(self) -> str:
        """Say what could not be done, and why."""
        return self.problem

    @property
    def todo(self) -> str | None:
        """Say what mends it, where that is known."""
        return f"run `{self.command}`" if self.command else None
