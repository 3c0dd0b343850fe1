"""Failures of packages that are known: with equal inputs, an ebuild that failed fails again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cloche.errors import ClocheError
from cloche.plan.depgraph import Package
from cloche.store import Key, Store
from cloche.tasks.errors import StepError

_ERROR = "error"


def data_of(error: ClocheError) -> dict[str, Any]:
    """What is kept of a failure with its action, if a phase of the ebuild failed by itself.

    Others, such as a full disk or a time that ran out, may not happen again.
    """
    if not isinstance(error, StepError) or error.phase is None:
        return {}
    return {_ERROR: {**error.as_data(), "enter": None}}


def known(store: Store, kind: str, package: Package, key: Key) -> ClocheError | None:
    """The failure of a step with these inputs, if it is known and its log is still there."""
    for action in reversed(store.actions_of(kind, package.id)):
        if action.parts != key.parts or _ERROR not in action.data:
            continue
        error = ClocheError.from_data(action.data[_ERROR])
        log = getattr(error, "log", None)
        if log and Path(log).exists():
            return error
    return None
