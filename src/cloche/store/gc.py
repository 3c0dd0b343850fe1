"""Garbage collection: what no pin names goes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cloche.store.errors import StoreError
from cloche.store.names import CCACHES, FRESHROOTS, RECOVERED, TRIALS
from cloche.store.records import Action, Blob, Pin, Tree
from cloche.store.store import Store, Waiting
from cloche.store.sweep import dead, sweep, take_away, unlisted
from cloche.store.unions import Union, unneeded
from cloche.store.usage import freed

WEEK = 7 * 86400.0
KEEP_CCACHES = 4 * WEEK


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
    pins: tuple[str, ...]
    bytes: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """What nothing names at one moment."""

    trees: tuple[Tree, ...]
    blobs: tuple[Blob, ...]
    actions: tuple[Action, ...]
    workspaces: tuple[Path, ...]
    logs: tuple[Path, ...]
    failed: tuple[Path, ...]
    unions: tuple[Union, ...]
    downloads: tuple[Path, ...]
    unknown: tuple[Path, ...]
    pins: tuple[Pin, ...]

    def paths(self, unknown: bool) -> list[Path]:
        """What lies on the disk, with or without that of which nothing is known."""
        things: list[Tree | Blob | Union] = [*self.trees, *self.blobs, *self.unions]
        return [*(thing.path for thing in things), *self.workspaces, *self.logs, *self.failed,
                *self.downloads, *(self.unknown if unknown else ())]  # fmt: skip

    def still(self, now: Garbage) -> Garbage:
        """What was garbage then and is garbage now."""
        pairs = ((getattr(self, one.name), getattr(now, one.name)) for one in fields(self))
        return Garbage(*(_common(then, new) for then, new in pairs))


def _common(then: Sequence[Any], new: Sequence[Any]) -> tuple[Any, ...]:
    names = set(map(_name, new))
    return tuple(each for each in then if _name(each) in names)


def _name(thing: Tree | Blob | Action | Union | Pin | Path) -> str:
    if isinstance(thing, Path):
        return str(thing)
    if isinstance(thing, Pin):
        return thing.name
    return thing.id if isinstance(thing, Tree | Blob) else thing.key


def gc(
    store: Store,
    *,
    dry_run: bool = False,
    keep: Iterable[str] = (),
    keep_logs: float = WEEK,
    keep_unions: float = WEEK,
    keep_downloads: float = 4 * WEEK,
    keep_ccaches: float = KEEP_CCACHES,
    keep_trials: float = WEEK,
    failed: bool = False,
    unknown: bool = False,
    recovered: bool = False,
    waiting: Waiting | None = None,
) -> GcReport:
    """Remove all that no pin and no id of ``keep`` names.

    An action stays when all of its outputs stay; one without outputs, a failure, for ``keep_logs``
    seconds. Logs stay with their actions, others for ``keep_logs`` seconds. Unions stay with their
    layers if they were used within ``keep_unions`` seconds. Downloads (files on their way, and
    copies of repositories that make the next sync quicker) stay for ``keep_downloads`` seconds,
    compile caches for ``keep_ccaches`` seconds after the last build that used them, what trials of
    variants have built for ``keep_trials`` seconds after the machine's last one.
    What a freshroot has built stays while it is kept or in use. Distfiles always stay: which are
    needed, only repositories know. ``failed`` removes the kept roots of failed builds, too.

    What the index does not know is listed, and taken along for ``unknown`` alone; else nothing is
    removed, because an index that has lost rows may have lost pins as well. ``recovered`` gives up
    what `recover` keeps for want of pins.

    What is garbage is found while others use the store. They are kept out only while it is moved
    aside, unless it has been used since, and removed when they are back; see `Store.alone` for
    ``waiting`` and what it raises. Raises `DamagedIndexError`, and `StoreError` for
    what the index does not know, unless ``dry_run``.
    """
    now = time.time()
    wanted = set(keep)

    def given_up(pin: Pin, dead_ones: Sequence[Path]) -> bool:
        if pin.name.startswith(FRESHROOTS):
            root = store.path / pin.name.removeprefix(FRESHROOTS)
            # A pin of an older cloche has another name, and says nothing of its root.
            ours = root.is_relative_to(store.tmp) or root.is_relative_to(store.freshroots)
            return ours and (root in dead_ones or not root.exists())
        if pin.name.startswith(CCACHES):
            return pin.created < now - keep_ccaches
        if pin.name.startswith(TRIALS):
            return pin.created < now - keep_trials
        return recovered and pin.name.startswith(RECOVERED)

    def mark() -> Garbage:
        strays = unlisted(store)
        if strays and not unknown and not dry_run:
            raise StoreError(
                f"{len(strays)} layers or files are not in the index, which may have lost "
                "more than them; nothing was removed",
                where=store.path,
                todo="`cloche store recover` enters them, `cloche store gc --unknown` removes them",
            )
        workspaces = dead(store)
        every = store.pins()
        lapsed = [pin for pin in every if given_up(pin, workspaces)]
        pins = [pin for pin in every if pin not in lapsed]
        kept = wanted.union(*((*pin.trees, *pin.blobs) for pin in pins))
        actions = store.index.actions()
        lost = {
            action.key
            for action in actions
            if not kept.issuperset(action.outputs.values())
            or (not action.outputs and action.created < now - keep_logs)
        }
        left = [action for action in actions if action.key not in lost]
        return Garbage(
            trees=tuple(tree for tree in store.trees() if tree.id not in kept),
            blobs=tuple(blob for blob in store.all_blobs() if blob.id not in kept),
            actions=tuple(action for action in actions if action.key in lost),
            workspaces=tuple(workspaces),
            # Without pins the actions that name them may be lost.
            logs=()
            if any(pin.name.startswith(RECOVERED) for pin in pins)
            else tuple(_old_logs(store.logs, left, now - keep_logs)),
            failed=tuple(sorted(store.failed.iterdir())) if failed else (),
            unions=tuple(unneeded(store, kept, now - keep_unions)),
            downloads=tuple(_untouched(store.downloads, now - keep_downloads)),
            unknown=tuple(strays),
            pins=tuple(lapsed),
        )

    store.index.check()
    garbage = mark()
    bytes = freed(garbage.paths(unknown))
    if not dry_run:
        with store.alone(waiting):
            found, garbage = garbage, garbage.still(mark())
            if garbage != found:
                bytes = freed(garbage.paths(unknown))
            _strike(store, garbage)
        sweep(store)
    return GcReport(
        trees=tuple(tree.id for tree in garbage.trees),
        blobs=tuple(blob.id for blob in garbage.blobs),
        actions=tuple(action.key for action in garbage.actions),
        workspaces=tuple(path.name for path in garbage.workspaces),
        logs=tuple(str(path.relative_to(store.logs)) for path in garbage.logs),
        failed=tuple(path.name for path in garbage.failed),
        unions=tuple(union.key for union in garbage.unions),
        downloads=tuple(path.name for path in garbage.downloads),
        unknown=tuple(path.name for path in garbage.unknown),
        pins=tuple(pin.name for pin in garbage.pins),
        bytes=bytes,
    )


def _strike(store: Store, garbage: Garbage) -> None:
    """Strike garbage out of the index and move it aside."""
    for pin in garbage.pins:
        store.unpin(pin.name)
    store.drop_unions(garbage.unions)
    for path in garbage.unknown:
        take_away(store, path)
    store.remove(
        trees=[tree.id for tree in garbage.trees],
        blobs=[blob.id for blob in garbage.blobs],
        actions=[action.key for action in garbage.actions],
    )
    for path in (*garbage.logs, *garbage.failed, *garbage.downloads):
        take_away(store, path)


def _untouched(downloads: Path, border: float) -> list[Path]:
    """What was not used since then: each use of a directory of downloads touches it."""
    return sorted(path for path in downloads.iterdir() if path.lstat().st_mtime < border)


def _old_logs(logs: Path, kept: Sequence[Action], border: float) -> list[Path]:
    """Log files that belong to no kept action and were written before then."""
    # A log may have been compressed since, or be named as it was before.
    named = {
        logs / f"{action.log.removesuffix('.gz')}{end}"
        for action in kept
        if action.log is not None
        for end in ("", ".gz")
    }
    return sorted(
        path
        for path in logs.rglob("*")
        if path not in named and path.is_file() and path.stat().st_mtime < border
    )
