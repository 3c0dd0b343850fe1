"""Errors of making or carrying out a plan."""

from __future__ import annotations

from collections.abc import Sequence

from cloche.errors import ClocheError, Exit
from cloche.plan.names import cp_of
from cloche.tasks.errors import StepError, StoppedError


class MissingSeedError(ClocheError):
    """A machine's seed is declared but not made yet."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        what = f"the seed “{seed}” is not in the store yet"
        super().__init__(what, todo=f"run `cloche seed bootstrap {seed}`")


class BuildError(ClocheError):
    """Packages of a build failed; ``errors`` says why, and each was reported as an event.

    ``detail`` is the first error, in one line. The status is `Exit.HOST` if all errors are faults
    of this host, and `Exit.BAD_INPUT` if all are of the user's files; then the line says the first.
    """

    status = Exit.FAILED

    def __init__(self, failed: Sequence[str], skipped: int, errors: Sequence[ClocheError]) -> None:
        more = f"; {skipped} more were not started" if skipped else ""
        own = {error.status for error in errors if not isinstance(error, StoppedError)}
        first = _first_reason(errors)
        steps = [each for each in errors if isinstance(each, StepError)]
        of_input = own == {Exit.BAD_INPUT} and len(steps) == len(errors)
        super().__init__(
            first if first and of_input else f"{len(failed)} failed: {', '.join(failed)}{more}",
            todo=_first_look([each for each in steps if each.log]),
            detail=first,
            status=own.pop() if own == {Exit.HOST} or of_input else None,
        )
        self.errors = tuple(errors)


def not_finished(machine: str, skipped: int) -> ClocheError:
    """A machine is incomplete because a package of another machine failed."""
    return ClocheError(
        f"{skipped} packages were not started, as another machine's package failed",
        where=f"machine {machine}",
        todo="mend that one, or build with --keep-going",
        status=Exit.FAILED,
    )


def _first_reason(errors: Sequence[ClocheError]) -> str | None:
    """The first error that is not of an interruption: where it happened, and what."""
    real = [each for each in errors if not isinstance(each, StoppedError)]
    return next((f"{e.where}: {e.what}" if e.where else e.what for e in real), None)


def _first_look(steps: Sequence[StepError]) -> str | None:
    """Commands for the first failed step, preferably a build: its log, a shell in its root."""
    if not steps:
        return None
    first = next((error for error in steps if error.step == "build"), steps[0])
    shell = f" or `{first.enter}`" if first.enter else ""
    return f"look with `{first.log_command}`{shell}"


def live_refused(machine: str, packages: Sequence[str]) -> ClocheError:
    """Live ebuilds (PROPERTIES=live) would fetch, and the user does not allow it."""
    names = ", ".join(f'"{cp_of(each)}"' for each in packages)
    return ClocheError(
        f"live ebuilds fetch their sources themselves, which is not allowed: {', '.join(packages)}",
        where=f"machine {machine}",
        todo=f"allow it with --live, or with `live = [{names}]` in machines/{machine}.toml; "
        "or use a version with SRC_URI",
    )


def no_ccache(machine: str) -> ClocheError:
    """A compile cache is wanted, but no build of a machine can see the program."""
    return ClocheError(
        "[build] ccache: neither the seed nor a package of the machine has the program ccache",
        where=f"machine {machine}",
        todo='add packages = ["ccache"] to a Debian seed in cloche.toml and run `cloche seed '
        "bootstrap`, or remove the setting",
    )


def no_distcc(machine: str) -> ClocheError:
    """Compiles are to go to other hosts, but the seed of a machine lacks the program."""
    return ClocheError(
        "[build] distcc: the seed does not have the program distcc",
        where=f"machine {machine}",
        todo='add packages = ["distcc"] to a Debian seed in cloche.toml and run `cloche seed '
        "bootstrap`, or remove the setting",
    )


def lock_drift(machine: str, differences: Sequence[str]) -> ClocheError:
    """A machine's inputs differ from what cloche.lock pins."""
    more = len(differences) - 3
    listed = "; ".join(differences[:3]) + (f"; {more} more" if more > 0 else "")
    return ClocheError(
        f"{machine} differs from cloche.lock: {listed}",
        todo=f"undo the change, or accept it with `cloche lock {machine}`",
        detail="\n".join(differences) if more > 0 else None,
    )
