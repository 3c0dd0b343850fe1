"""Errors about patches and work trees."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cloche.building.rejected import Refused, refused, user_patches
from cloche.errors import ClocheError
from cloche.tasks.errors import StepError
from cloche.tasks.guestcall import tail_of

_TAIL = 2000  # lines of a log, of which patch(1) wrote the last
_GOES_ON = "`cloche patch save` without options goes on with it"


def does_not_apply(
    name: str, cpv: str, hunks: Sequence[Refused], todo: str, detail: str | None = None
) -> ClocheError:
    """A patch does not apply to a version."""
    where = "; ".join(map(str, hunks)) or "patch(1) finds nothing that it is for"
    return ClocheError(f"{name} does not apply: {where}", where=cpv, todo=todo, detail=detail)


def of_step(error: StepError, cpv: str, todo: str) -> ClocheError:
    """The error for a user patch that does not apply in a prepare phase; others stay the same."""
    if error.phase != "prepare" or error.log is None:
        return error
    text = tail_of(Path(error.log), _TAIL)
    failed, hunks = user_patches(text), refused(text)
    if not failed or not hunks:
        return error
    return does_not_apply(failed[-1].rpartition("/")[2], cpv, hunks, todo)


def no_user_patches(cpv: str, eapi: str) -> ClocheError:
    """An ebuild that never applies user patches."""
    what = f"its ebuild (EAPI {eapi}) never calls eapply_user, so user patches have no effect"
    return ClocheError(what, where=cpv, todo="patch it in an ebuild of your own repository")


def no_change(cpv: str) -> ClocheError:
    """A work tree without a change."""
    todo = "edit its files first"
    return ClocheError("the work tree has no change", where=cpv, todo=todo)


def other_patches(cpv: str) -> ClocheError:
    """The project's patches have changed since the work tree was made."""
    what = "its saved patches have changed since the work tree was made"
    return ClocheError(what, where=cpv, todo=f"`cloche patch prep ={cpv}`")


def unresolved(cpv: str, files: Sequence[str]) -> ClocheError:
    """A work tree with marks of a conflict."""
    what = f"there are still marks of a conflict in {', '.join(files)}"
    return ClocheError(what, where=cpv, todo="edit what is between <<<<<<< and >>>>>>>")


def unfinished(cpv: str, conflict: str | None) -> ClocheError:
    """A rebase that waits for the user, in a conflict or because its end failed."""
    if conflict is None:
        return ClocheError("its rebase has not ended", where=cpv, todo=_GOES_ON)
    what = f"its rebase waits at {conflict}"
    todo = "resolve the conflict and `cloche patch save`, or `save --skip`"
    return ClocheError(what, where=cpv, todo=todo)


def nothing_resolved(cpv: str) -> ClocheError:
    """A work tree without a rebase that could go back."""
    what = "no conflict of a rebase was resolved in its work tree"
    return ClocheError(what, where=cpv, todo="edit its files and `cloche patch save`")


def no_conflict(cpv: str) -> ClocheError:
    """A rebase that has no patch for a header or to leave out."""
    return ClocheError("no patch of its rebase is in a conflict", where=cpv, todo=_GOES_ON)
