"""What can go wrong with making or carrying out a plan."""

from __future__ import annotations

from cloche.errors import ClocheError, Exit
from cloche.plan.names import cp_of
from cloche.tasks.errors import StepError, StoppedError


class MissingSeedError(ClocheError):
    """A machine names a seed that is declared but not made yet."""

    def __init__(self, seed: str) -> None:
        super().__init__(seed)
        self.seed = seed

    @property
    def what(self) -> str:
        """That it has to be made first."""
        return f"the seed `{self.seed}` is not in the store yet"

    @property
    def todo(self) -> str | None:
        """The command that makes it."""
        return f"run `cloche seed bootstrap {self.seed}`"


class LiveError(ClocheError):
    """Ebuilds that fetch by their own code (PROPERTIES=live), where the user does not allow it."""

    def __init__(self, machine: str, packages: tuple[str, ...]) -> None:
        super().__init__(machine, packages)
        self.machine, self.packages = machine, packages

    @property
    def what(self) -> str:
        """Which, and why they cannot be built."""
        return (
            f"live ebuilds fetch their sources by their own code, which is not allowed: "
            f"{', '.join(self.packages)}"
        )

    @property
    def where(self) -> str | None:
        """The machine."""
        return f"machine {self.machine}"

    @property
    def todo(self) -> str:
        """What a person can do."""
        names = ", ".join(f'"{cp_of(each)}"' for each in self.packages)
        return (
            f"allow it with --live, or with `live = [{names}]` in machines/{self.machine}.toml; "
            "or take a version with SRC_URI"
        )


class NotLockedError(ClocheError):
    """``--locked`` with a machine that cloche.lock does not have."""

    def __init__(self, machine: str) -> None:
        super().__init__(machine)
        self.machine = machine

    @property
    def what(self) -> str:
        """That it is not there."""
        return f"the machine {self.machine} is not in cloche.lock"

    @property
    def todo(self) -> str:
        """The command that puts it there."""
        return f"run `cloche lock {self.machine}`, and put the file under version control"


class LockDriftError(ClocheError):
    """What a machine would be made from is not what cloche.lock pins."""

    def __init__(self, machine: str, differences: tuple[str, ...]) -> None:
        super().__init__(machine, differences)
        self.machine = machine
        self.differences = differences

    @property
    def what(self) -> str:
        """The first few differences."""
        more = len(self.differences) - 3
        listed = "; ".join(self.differences[:3]) + (f"; {more} more" if more > 0 else "")
        return f"{self.machine} is not what cloche.lock pins: {listed}"

    @property
    def todo(self) -> str:
        """Both ways out."""
        return f"undo the change, or accept it with `cloche lock {self.machine}`"

    @property
    def detail(self) -> str | None:
        """All of them, where the line does not hold them."""
        return "\n".join(self.differences) if len(self.differences) > 3 else None


class BuildError(ClocheError):
    """The sum of a build in which packages failed; each was told by its own event.

    Its status is `Exit.HOST` where nothing failed but what this host could not do.
    """

    status = Exit.FAILED

    def __init__(
        self,
        machine: str,
        failed: tuple[str, ...],
        skipped: int,
        errors: tuple[ClocheError, ...],
    ) -> None:
        super().__init__(machine, failed, skipped)
        self.machine, self.failed = machine, failed
        self.skipped, self.errors = skipped, errors
        own = {error.status for error in errors if not isinstance(error, StoppedError)}
        if own == {Exit.HOST}:
            self.status = Exit.HOST

    @property
    def what(self) -> str:
        """How many and which."""
        more = f"; {self.skipped} more were not started" if self.skipped else ""
        return f"{len(self.failed)} failed: {', '.join(self.failed)}{more}"

    @property
    def todo(self) -> str | None:
        """The first one's log, and the shell that opens the root it failed in."""
        steps = [error for error in self.errors if isinstance(error, StepError) and error.log]
        if not steps:
            return None
        first = next((error for error in steps if error.step == "build"), steps[0])
        shell = f" or `{first.enter}`" if first.enter else ""
        return f"look with `{first.log_command}`{shell}"


class KeptRootBusyError(ClocheError):
    """Somebody looks around in the kept root of a failed step already."""

    status = Exit.HOST

    def __init__(self, package: str) -> None:
        super().__init__(package)
        self.package = package

    @property
    def what(self) -> str:
        """That it is taken."""
        return "another shell is open in the root that it failed in"

    @property
    def where(self) -> str | None:
        """The package."""
        return self.package

    @property
    def todo(self) -> str | None:
        """What ends that."""
        return "leave that shell first"
