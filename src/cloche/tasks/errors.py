"""What can go wrong with a single step."""

from __future__ import annotations

from cloche.errors import NO_ROOM, ClocheError, Exit


class StepError(ClocheError):
    """A package's step failed. ``reason`` is a clause, ``detail`` the lines of the log that matter.

    ``todo`` is what cures a known cause; where none is given, it is to read the ``log``. ``enter``
    is the command that opens the root in which the step failed, where that was kept; ``phase`` the
    ebuild's phase in which it failed, where the step failed by itself.
    """

    status = Exit.FAILED

    def __init__(
        self,
        package: str,
        step: str,
        reason: str,
        *,
        log: str | None = None,
        todo: str | None = None,
        detail: str | None = None,
        enter: str | None = None,
        phase: str | None = None,
        status: Exit | None = None,
    ) -> None:
        self.package, self.step, self.log = package, step, log
        self.enter, self.phase = enter, phase
        if log and not todo:
            todo = f"see `{self.log_command}`"
        what = f"{step} failed: {reason}"
        super().__init__(what, where=package, todo=todo, detail=detail, status=status)

    @property
    def log_command(self) -> str:
        """What shows the whole log: without a step, `cloche log` takes a build's."""
        step = f" --step {self.step}" if self.step in ("fetch", "merge") else ""
        return f"cloche log {self.package.split('::')[0]}{step}"


class StoppedError(StepError):
    """A step that was ended because the whole build is being interrupted: no failure of its own."""

    def __init__(self, package: str, step: str) -> None:
        super().__init__(package, step, "interrupted")


class GuestError(ClocheError):
    """A guest script failed, or ended without an answer; ``detail`` are its last words."""

    status = Exit.FAILED


def missing_distfile(package: str, *files: str) -> StepError:
    """Sources that are not here, and may not be fetched."""
    reason = f"not here and --offline: {', '.join(files)}"
    return StepError(package, "fetch", reason, todo="run once without --offline")


def no_room(package: str, step: str, path: str, free: int, reserve: int) -> StepError:
    """The file system of the store, ``path``, has no room left; ``free``, ``reserve``: bytes."""
    return StepError(
        package,
        step,
        f"no room left in {path} ({free >> 20} MiB free, {reserve >> 20} kept)",
        todo=f"{NO_ROOM}; `[store] reserve` in cloche.toml says how much is kept free",
        status=Exit.HOST,
    )
