"""Garbage collection: what no pin names goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloche.store.errors import UnknownContentError
from cloche.store.records import Action
from cloche.store.recover import PIN
from cloche.store.store import Store
from cloche.store.sweep import dead, take_away, unlisted
from cloche.store.tree import remove_tree
from cloche.store.unions import unneeded
from cloche.store.usage import freed

WEEK = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class GcReport:
    """What `gc` removed, or would remove: ids, keys, names; ``bytes`` on disk given back."""

    trees: tuple[str, ...]
    blobs: tuple[str, ...]
    actions: tuple[str, ...]
    workspaces: tuple[str, ...]
    logs: tuple[str, ...]
    failed: tuple[str, ...]
    unions: tuple[str, ...]
    downloads: tuple[str, ...]
    unknown: tuple[str, ...]
    bytes: int


def gc(
    store: Store,
    *,
    dry_run: bool = False,
    keep: Iterable[str] = (),
    keep_logs: float = WEEK,
    keep_unions: float = WEEK,
    keep_downloads: float = 4 * WEEK,
    failed: bool = False,
    unknown: bool = False,
    recovered: bool = False,
) -> GcReport:
    """Remove all that no pin and no id of ``keep`` names.

    An action stays when all of its outputs stay; one without outputs, a failure, stays for
    ``keep_logs`` seconds. Logs stay with their actions, and others for
    ``keep_logs`` seconds. Unions stay with their layers, if they were used within ``keep_unions``
    seconds. So do downloads: files on their way, and copies of repositories that make the next
    sync quicker. ``failed`` takes the kept roots of failed builds along. Distfiles are
    left alone: which are needed, only repositories know.

    What the index does not know is listed, and taken along for ``unknown`` alone; else nothing is
    removed, because an index that has lost rows may have lost pins as well. ``recovered`` gives up
    what `recover` keeps for want of pins. Raises `UnknownContentError`, `DamagedIndexError`, and
    `NotExclusiveError`, the first and the last unless ``dry_run``.
    """
    if not dry_run:
        store.need_exclusive()
    store.index.check()
    strays = unlisted(store)
    if strays and not unknown and not dry_run:
        raise UnknownContentError(store.path, len(strays))
    pins = [pin for pin in store.pins() if not (recovered and pin.name.startswith(PIN))]
    kept = set(keep)
    for pin in pins:
        kept.update(pin.trees, pin.blobs)
    trees = [tree for tree in store.trees() if tree.id not in kept]
    blobs = [blob for blob in store.all_blobs() if blob.id not in kept]
    actions = store.index.actions()
    border = time.time() - keep_logs
    lost = [
        action
        for action in actions
        if not kept.issuperset(action.outputs.values())
        or (not action.outputs and action.created < border)
    ]
    logs = (
        []  # the actions that name them may be lost
        if any(pin.name.startswith(PIN) for pin in pins)
        else _old_logs(store.logs, [action for action in actions if action not in lost], keep_logs)
    )
    workspaces = dead(store)
    roots = sorted(store.failed.iterdir()) if failed else []
    unions = unneeded(store, kept, time.time() - keep_unions)
    old = _untouched(store.downloads, time.time() - keep_downloads)
    doomed = [*(tree.path for tree in trees), *(blob.path for blob in blobs)]
    report = GcReport(
        trees=tuple(tree.id for tree in trees),
        blobs=tuple(blob.id for blob in blobs),
        actions=tuple(action.key for action in lost),
        workspaces=tuple(path.name for path in workspaces),
        logs=tuple(str(path.relative_to(store.logs)) for path in logs),
        failed=tuple(path.name for path in roots),
        unions=tuple(union.key for union in unions),
        downloads=tuple(path.name for path in old),
        unknown=tuple(path.name for path in strays),
        bytes=freed([
            *doomed, *workspaces, *logs, *roots, *old, *(union.path for union in unions),
            *(strays if unknown else ()),
        ]),
    )  # fmt: skip
    if not dry_run:
        for pin in store.pins(PIN) if recovered else ():
            store.unpin(pin.name)
        store.drop_unions(unions)
        for path in strays:
            take_away(store, path)
        store.remove(trees=report.trees, blobs=report.blobs, actions=report.actions)
        for path in [*logs, *roots, *old]:
            remove_tree(path)
    return report


def _untouched(downloads: Path, border: float) -> list[Path]:
    """What was not used since; whoever uses a directory of downloads touches it."""
    return sorted(path for path in downloads.iterdir() if path.lstat().st_mtime < border)


def _old_logs(logs: Path, kept: Sequence[Action], keep_seconds: float) -> list[Path]:
    """Log files that belong to no kept action and were written longer ago than that."""
    # A log may have been compressed since, or be named as it was before.
    named = {
        logs / f"{action.log.removesuffix('.gz')}{end}"
        for action in kept
        if action.log is not None
        for end in ("", ".gz")
    }
    border = time.time() - keep_seconds
    return sorted(
        path
        for path in logs.rglob("*")
        if path not in named and path.is_file() and path.stat().st_mtime < border
    )
