"""Errors of steps: `StepError`, `StoppedError`, `GuestError`."""

from __future__ import annotations

from cloche.errors import NO_ROOM, ClocheError, Exit
from cloche.plan.names import bare
from cloche.records.events import INTERRUPTED


class StepError(ClocheError):
    """A package's step failed. ``reason`` is a clause, ``detail`` the lines of the log that matter.

    ``todo`` is the cure of a known cause, by default to read the ``log``. ``enter`` is the command
    that opens the root of the failure, if it was kept; ``phase`` the ebuild's phase that failed, if
    the step failed by itself.
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
        """The command that shows the whole log; without a step, `cloche log` shows a build's."""
        step = f" --step {self.step}" if self.step in ("fetch", "merge") else ""
        return f"cloche log {bare(self.package)}{step}"


class StoppedError(StepError):
    """A step was ended because the build is being interrupted; it did not fail itself."""

    def __init__(self, package: str, step: str) -> None:
        super().__init__(package, step, INTERRUPTED)


class GuestError(ClocheError):
    """A guest script failed, or ended without an answer; ``detail`` is the end of its log."""

    status = Exit.FAILED


def missing_distfile(package: str, *files: str) -> StepError:
    """Sources are not in the store, and may not be fetched."""
    reason = f"not in the store, and --offline: {', '.join(files)}"
    return StepError(package, "fetch", reason, todo="run once without --offline")


def no_room(package: str, step: str, path: str, free: int, reserve: int) -> StepError:
    """The store's file system, ``path``, is full; ``free`` and ``reserve`` in bytes."""
    return StepError(
        package,
        step,
        f"no space left in {path} ({free >> 20} MiB free, {reserve >> 20} reserved)",
        todo=f"{NO_ROOM}; `[store] reserve` in cloche.toml sets the reserve",
        status=Exit.HOST,
    )
